const fs = require("fs");

function median(numbers) {
  const ordered = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(ordered.length / 2);
  return ordered.length % 2 ? ordered[middle] : (ordered[middle - 1] + ordered[middle]) / 2;
}

const lines = fs.readFileSync(0, "utf8").trim().split("\n");
console.log(median(lines.map(Number)));
module.exports = { median };
