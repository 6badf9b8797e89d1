use sage_models::DType;
use sage_tests::onnx::{Dim, Message, Onnx, attribute, element, numbers_attribute, tensor};

/// Tokens in a row.
pub(super) const LENGTH: usize = 32;
/// The dimensions of MiniLM-L6.
const LAYERS: usize = 6;
const HIDDEN: usize = 384;
const HEADS: usize = 12;
const INNER: usize = 1536;
const VOCABULARY: usize = 30_522;
const HEAD: usize = HIDDEN / HEADS;

/// A model with the graph and the size of all-MiniLM-L6-v2: a sentence's tokens in, their mean out. The
/// weights are made up, because the cost does not depend on them. Each call returns the same bytes.
pub(super) fn transformer() -> Vec<u8> {
    let float = element(DType::F32);
    let mut graph =
        Graph {
            onnx: Onnx::default()
                .input("ids", element(DType::I64), &[Dim::Free("rows"), Dim::Is(LENGTH as i64)])
                .output("mean", float, &[Dim::Free("rows"), Dim::Is(HIDDEN as i64)]),
            chance: 0x9e37_79b9_7f4a_7c15,
        };
    graph.random("words", &[VOCABULARY, HIDDEN]);
    graph.random("positions", &[LENGTH, HIDDEN]);
    graph.numbers("heads", &[0, 0, HEADS as i64, HEAD as i64]);
    graph.numbers("whole", &[0, 0, HIDDEN as i64]);
    graph.scalar("scale", 1.0 / (HEAD as f32).sqrt());
    graph.scalar("root", std::f32::consts::FRAC_1_SQRT_2);
    graph.scalar("one", 1.0);
    graph.scalar("half", 0.5);
    graph.filled("ones", 1.0);
    graph.filled("zeros", 0.0);
    graph.node("Gather", &["words", "ids"], "embedded", &[]);
    graph.node("Add", &["embedded", "positions"], "placed", &[]);
    let mut last = graph.normal("placed", "in");
    for layer in 0..LAYERS {
        last = graph.layer(&last, layer);
    }
    graph.node("ReduceMean", &[&last], "mean", &[numbers_attribute("axes", &[1]), attribute("keepdims", 0)]);
    graph.onnx.file()
}

struct Graph {
    onnx: Onnx,
    /// State of the random number generator for the weights.
    chance: u64,
}

impl Graph {
    /// Adds one layer, and returns the name of its output.
    fn layer(&mut self, input: &str, layer: usize) -> String {
        let named = |what: &str| format!("{what}{layer}");
        let mut heads = Vec::new();
        // The keys are transposed once more, because the queries are multiplied with them.
        for (what, order) in [("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])] {
            let projected = self.linear(input, &named(what), HIDDEN, HIDDEN);
            let (cut, turned) = (named(&format!("{what}cut")), named(&format!("{what}heads")));
            self.node("Reshape", &[&projected, "heads"], &cut, &[]);
            self.node("Transpose", &[&cut], &turned, &[numbers_attribute("perm", &order)]);
            heads.push(turned);
        }
        let [q, k, v] = heads.as_slice() else { return String::new() };
        let [scores, scaled, weights] = ["scores", "scaled", "weights"].map(named);
        self.node("MatMul", &[q, k], &scores, &[]);
        self.node("Mul", &[&scores, "scale"], &scaled, &[]);
        self.node("Softmax", &[&scaled], &weights, &[attribute("axis", -1)]);
        let [mixed, turned, seen, sum] = ["mixed", "back", "seen", "attended"].map(named);
        self.node("MatMul", &[&weights, v], &mixed, &[]);
        self.node("Transpose", &[&mixed], &turned, &[numbers_attribute("perm", &[0, 2, 1, 3])]);
        self.node("Reshape", &[&turned, "whole"], &seen, &[]);
        let attended = self.linear(&seen, &named("o"), HIDDEN, HIDDEN);
        self.node("Add", &[input, &attended], &sum, &[]);
        let middle = self.normal(&sum, &named("middle"));

        let wide = self.linear(&middle, &named("up"), HIDDEN, INNER);
        let [rooted, error, plus, halved, active, out] =
            ["rooted", "error", "plus", "halved", "active", "out"].map(named);
        self.node("Mul", &[&wide, "root"], &rooted, &[]);
        self.node("Erf", &[&rooted], &error, &[]);
        self.node("Add", &[&error, "one"], &plus, &[]);
        self.node("Mul", &[&wide, "half"], &halved, &[]);
        self.node("Mul", &[&halved, &plus], &active, &[]);
        let narrow = self.linear(&active, &named("down"), INNER, HIDDEN);
        self.node("Add", &[&middle, &narrow], &out, &[]);
        self.normal(&out, &named("end"))
    }

    /// Adds `input` times a matrix, plus a bias.
    fn linear(&mut self, input: &str, name: &str, from: usize, to: usize) -> String {
        let [weight, bias, product, sum] = ["weight", "bias", "product", "sum"].map(|part| format!("{name}.{part}"));
        self.random(&weight, &[from, to]);
        self.random(&bias, &[to]);
        self.node("MatMul", &[input, &weight], &product, &[]);
        self.node("Add", &[&product, &bias], &sum, &[]);
        sum
    }

    fn normal(&mut self, input: &str, name: &str) -> String {
        let output = format!("{name}.normal");
        self.node("LayerNormalization", &[input, "ones", "zeros"], &output, &[]);
        output
    }

    fn node(&mut self, operator: &str, inputs: &[&str], output: &str, attributes: &[Message]) {
        self.onnx = std::mem::take(&mut self.onnx).node(operator, inputs, &[output], attributes);
    }

    /// Adds weights around zero, scaled so that the size of the numbers stays the same from layer to layer.
    fn random(&mut self, name: &str, shape: &[usize]) {
        let width = (3.0 / shape.first().copied().unwrap_or(1).min(INNER) as f32).sqrt();
        let count = shape.iter().product();
        let raw = (0..count).flat_map(|_| (width * self.next()).to_le_bytes()).collect::<Vec<u8>>();
        self.weight(name, DType::F32, &shape.iter().map(|&size| size as i64).collect::<Vec<_>>(), &raw);
    }

    /// The next random number between -1 and 1 (xorshift, Marsaglia 2003).
    fn next(&mut self) -> f32 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (self.chance >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn filled(&mut self, name: &str, value: f32) {
        self.weight(name, DType::F32, &[HIDDEN as i64], &value.to_le_bytes().repeat(HIDDEN));
    }

    fn scalar(&mut self, name: &str, value: f32) {
        self.weight(name, DType::F32, &[], &value.to_le_bytes());
    }

    fn numbers(&mut self, name: &str, numbers: &[i64]) {
        let raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.weight(name, DType::I64, &[numbers.len() as i64], &raw);
    }

    fn weight(&mut self, name: &str, dtype: DType, shape: &[i64], raw: &[u8]) {
        self.onnx = std::mem::take(&mut self.onnx).weight(&tensor(name, element(dtype), shape, raw));
    }
}
