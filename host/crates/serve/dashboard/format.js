// Numbers, sizes and times for people.

const DASH = "–";

export function whole(value) {
  return value === null || value === undefined ? DASH : Math.round(value).toLocaleString("en-US");
}

/** 950, 12.4k, 3.1M. */
export function count(value) {
  if (value === null || value === undefined) return DASH;
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (value >= size) return (value / (unit === "k" ? 1e3 : size)).toFixed(1) + unit;
  }
  return value < 10 && value % 1 !== 0 ? value.toFixed(1) : Math.round(value).toLocaleString("en-US");
}

/** 512 B, 4.7 MiB. */
export function bytes(value) {
  if (value === null || value === undefined) return DASH;
  let unit = 0;
  while (value >= 1024 && unit < 4) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 || value % 1 === 0 ? 0 : 1;
  return `${value.toFixed(digits)} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
}

/** A part of 1 as percent. */
export function percent(part) {
  if (part === null || part === undefined) return DASH;
  const value = part * 100;
  return (value > 0 && value < 10 ? value.toFixed(1) : Math.round(value)) + " %";
}

/** Milliseconds as 4 s, 3 min, 2 h, 5 d. */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${seconds} s`;
}

/** Seconds as 0.4 ms, 12 ms, 1.5 s. */
export function delay(seconds) {
  if (seconds === null || seconds === undefined) return DASH;
  if (seconds >= 1) return `${seconds.toFixed(1)} s`;
  const milliseconds = seconds * 1000;
  return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
}

export function cpu(seconds) {
  return seconds === null || seconds === undefined ? DASH : `${seconds < 100 ? seconds.toFixed(1) : Math.round(seconds)} s`;
}

/** The time of day, with the date if it is not today. */
export function time(milliseconds, withParts = false) {
  const at = new Date(milliseconds);
  const pad = (number, length = 2) => String(number).padStart(length, "0");
  const clock = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  const text = withParts ? `${clock}.${pad(at.getMilliseconds(), 3)}` : clock;
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? text : `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} ${text}`;
}
