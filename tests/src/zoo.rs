//! A zoo of small model graphs. In some, rows are independent, in others not. Their first dimensions have one
//! name, several or none.

use sage_models::{DType, NamedTensor, Tensor, TensorData};

use crate::onnx::{Dim, Message, Onnx, attribute, graph_attribute, numbers_attribute, tensor, word_attribute};

/// A graph of the zoo.
#[derive(Debug)]
pub struct Animal {
    /// Short description of the graph.
    pub name: &'static str,
    /// Bytes of the ONNX file.
    pub file: Vec<u8>,
    /// Whether the graph shows that rows are independent.
    pub is_shown: bool,
    /// Inputs of a call.
    pub inputs: Vec<Passed>,
}

/// An input of a call.
#[derive(Debug, Clone, Copy)]
pub struct Passed {
    /// Name of the input.
    pub name: &'static str,
    /// Type of its elements.
    pub dtype: DType,
    /// Its dimensions.
    pub shape: &'static [Length],
}

/// Length of a dimension in a call.
#[derive(Debug, Clone, Copy)]
pub enum Length {
    /// The number of rows of the call.
    Rows,
    /// A number that changes from call to call and does not depend on the rows.
    Other,
    /// A fixed length.
    Is(usize),
}

use Length::{Is, Other, Rows};

/// A random number generator (xorshift, Marsaglia 2003).
#[derive(Debug)]
pub struct Chance(pub u64);

impl Chance {
    /// A random number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as usize) % end
    }
}

impl Animal {
    /// The inputs of a call with `rows` rows.
    pub fn call(&self, rows: usize, chance: &mut Chance) -> Vec<NamedTensor> {
        let passed = self
            .inputs
            .iter()
            .map(|input| NamedTensor { name: input.name.to_owned(), tensor: input.tensor(rows, chance) });
        passed.collect()
    }
}

impl Passed {
    fn tensor(&self, rows: usize, chance: &mut Chance) -> Tensor {
        let size = |length: &Length| match length {
            Rows => rows,
            Is(size) => *size,
            Other => 2 + chance.below(5),
        };
        let shape: Vec<usize> = self.shape.iter().map(size).collect();
        let count = shape.iter().product();
        let data = match self.dtype {
            DType::I64 => TensorData::I64((0..count).map(|_| chance.below(2) as i64).collect()),
            _ => TensorData::F32((0..count).map(|_| chance.below(2000) as f32 / 1000.0 - 1.0).collect()),
        };
        Tensor::new(shape, data).unwrap()
    }
}

const X: &[Passed] = &[Passed { name: "x", dtype: DType::F32, shape: &[Rows, Is(4)] }];
const N: Dim<'static> = Dim::Free("n");
const NONE: Dim<'static> = Dim::Free("?");
const FLOAT: u64 = 1;
const INT: u64 = 7;

/// A graph from `x f32[n, 4]` to `y`, with weights that the nodes refer to by name.
fn plain(first: Dim<'static>, output: (u64, &[Dim<'_>])) -> Onnx {
    constants(Onnx::default().input("x", FLOAT, &[first, Dim::Is(4)]).output("y", output.0, output.1))
}

fn floats(name: &str, dims: &[i64]) -> Message {
    let count: i64 = dims.iter().product();
    let raw: Vec<u8> = (0..count).flat_map(|i| (((i * 7 + 3) % 11) as f32 / 10.0 - 0.4).to_le_bytes()).collect();
    tensor(name, FLOAT, dims, &raw)
}

fn ints(name: &str, dims: &[i64], numbers: &[i64]) -> Message {
    tensor(name, INT, dims, &numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())
}

fn constants(onnx: Onnx) -> Onnx {
    let scalars = [
        ("zero", 0),
        ("one", 1),
        ("two", 2),
        ("minus", -1),
        ("much", i64::from(i32::MAX)),
        ("least", -i64::from(i32::MAX)),
    ];
    let onnx = scalars.iter().fold(onnx, |onnx, (name, number)| {
        onnx.weight(&ints(name, &[], &[*number])).weight(&ints(&format!("[{name}]"), &[1], &[*number]))
    });
    let lists = [
        ("flat", &[-1, 2][..]),
        ("halves", &[2, -1]),
        ("four", &[4]),
        ("rows", &[0, 2, 2]),
        ("back", &[0, -1]),
        ("pads", &[1, 0, 0, 0]),
        ("wide", &[0, 1, 0, 1]),
        ("twice", &[2, 1]),
    ];
    let onnx =
        lists.iter().fold(onnx, |onnx, (name, numbers)| onnx.weight(&ints(name, &[numbers.len() as i64], numbers)));
    let onnx = onnx.weight(&tensor("yes", 9, &[], &[1]));
    onnx.weight(&floats("w", &[4, 4])).weight(&floats("bias", &[4])).weight(&floats("row", &[1, 4]))
}

type Line<'a> = (&'a str, &'a [&'a str], &'a [&'a str], Vec<Message>);

fn with(onnx: Onnx, lines: Vec<Line<'_>>) -> Vec<u8> {
    lines
        .iter()
        .fold(onnx, |onnx, (operator, inputs, outputs, attributes)| onnx.node(operator, inputs, outputs, attributes))
        .file()
}

fn axis(axis: i64) -> Vec<Message> {
    vec![attribute("axis", axis)]
}

fn keep(keep: i64) -> Vec<Message> {
    vec![attribute("keepdims", keep)]
}

fn perm(order: &[i64]) -> Vec<Message> {
    vec![numbers_attribute("perm", order)]
}

fn axes(axes: &[i64]) -> Vec<Message> {
    vec![numbers_attribute("axes", axes)]
}

fn none() -> Vec<Message> {
    Vec::new()
}

/// All graphs.
#[must_use]
pub fn zoo() -> Vec<Animal> {
    let mut all = dependent();
    all.extend(sequences());
    all.extend(of_several());
    all.extend(independent());
    all.extend(shaped());
    all
}

fn animal(name: &'static str, is_shown: bool, file: Vec<u8>) -> Animal {
    Animal { name, file, is_shown, inputs: X.to_vec() }
}

/// Graphs of `x f32[n, 4]` with rows that depend on each other.
fn dependent() -> Vec<Animal> {
    let same: (u64, &[Dim<'_>]) = (FLOAT, &[N, Dim::Is(4)]);
    let of = |name, lines| animal(name, false, with(plain(N, same), lines));
    let to = |name, output: (u64, &[Dim<'_>]), lines| animal(name, false, with(plain(NONE, output), lines));
    let squares = |lines| with(plain(N, (FLOAT, &[N, Dim::Free("m")])), lines);
    vec![
        of("CumSum over time", vec![("CumSum", &["x", "zero"], &["y"], none())]),
        to(
            "CumSum over what has no name",
            (FLOAT, &[NONE, Dim::Is(4)]),
            vec![("CumSum", &["x", "zero"], &["y"], none())],
        ),
        of("Softmax over candidates", vec![("Softmax", &["x"], &["y"], axis(0))]),
        of("LogSoftmax over candidates", vec![("LogSoftmax", &["x"], &["y"], axis(-2))]),
        of(
            "a mean over rows taken off",
            vec![("ReduceMean", &["x"], &["m"], axes(&[0])), ("Sub", &["x", "m"], &["y"], none())],
        ),
        of(
            "divided by the largest of all",
            vec![("ReduceMax", &["x"], &["m"], none()), ("Div", &["x", "m"], &["y"], none())],
        ),
        of(
            "normalised over rows",
            vec![
                ("ReduceMean", &["x"], &["m"], axes(&[0])),
                ("Sub", &["x", "m"], &["d"], none()),
                ("Mul", &["d", "d"], &["q"], none()),
                ("ReduceMean", &["q"], &["v"], axes(&[0])),
                ("Sqrt", &["v"], &["s"], none()),
                ("Add", &["s", "row"], &["t"], none()),
                ("Div", &["d", "t"], &["y"], none()),
            ],
        ),
        of("LayerNormalization over all", vec![("LayerNormalization", &["x", "row"], &["y"], axis(0))]),
        to("the best rows first", (FLOAT, &[NONE, Dim::Is(4)]), vec![("TopK", &["x", "[one]"], &["y", "i"], axis(0))]),
        to("which row is best", (INT, &[Dim::Is(1), Dim::Is(4)]), vec![("ArgMax", &["x"], &["y"], axis(0))]),
        to(
            "which row is best, of no fixed number",
            (INT, &[NONE, Dim::Is(4)]),
            vec![("ArgMax", &["x"], &["y"], axis(0))],
        ),
        to(
            "ranks",
            (INT, &[NONE, Dim::Is(4)]),
            vec![
                ("Shape", &["x"], &["s"], none()),
                ("Gather", &["s", "[zero]"], &["k"], none()),
                ("TopK", &["x", "k"], &["v", "y"], axis(0)),
            ],
        ),
        to("turned", (FLOAT, &[Dim::Is(4), NONE]), vec![("Transpose", &["x"], &["y"], perm(&[1, 0]))]),
        to("turned, of no fixed number", (FLOAT, &[NONE, NONE]), vec![("Transpose", &["x"], &["y"], perm(&[1, 0]))]),
        to("twice as many rows", (FLOAT, &[NONE, Dim::Is(2)]), vec![("Reshape", &["x", "flat"], &["y"], none())]),
        to("two halves", (FLOAT, &[NONE, NONE]), vec![("Reshape", &["x", "halves"], &["y"], none())]),
        to("all in one", (FLOAT, &[NONE, NONE]), vec![("Flatten", &["x"], &["y"], axis(0))]),
        animal(
            "each row times each other",
            false,
            squares(vec![("Transpose", &["x"], &["t"], perm(&[1, 0])), ("MatMul", &["x", "t"], &["y"], none())]),
        ),
        animal(
            "Einsum of each row with each other",
            false,
            squares(vec![("Einsum", &["x", "x"], &["y"], vec![word_attribute("equation", "id,jd->ij")])]),
        ),
        of(
            "attention among rows",
            vec![
                ("Transpose", &["x"], &["t"], perm(&[1, 0])),
                ("MatMul", &["x", "t"], &["s"], none()),
                ("Softmax", &["s"], &["a"], axis(-1)),
                ("MatMul", &["a", "x"], &["y"], none()),
            ],
        ),
        to(
            "places that are not zero",
            (INT, &[NONE, Dim::Is(2)]),
            vec![
                ("Relu", &["x"], &["r"], none()),
                ("NonZero", &["r"], &["i"], none()),
                ("Transpose", &["i"], &["y"], perm(&[1, 0])),
            ],
        ),
        to("rows twice", (FLOAT, &[NONE, Dim::Is(4)]), vec![("Concat", &["x", "x"], &["y"], axis(0))]),
        to("a row more", (FLOAT, &[NONE, Dim::Is(4)]), vec![("Concat", &["row", "x"], &["y"], axis(0))]),
        to(
            "without the first",
            (FLOAT, &[NONE, Dim::Is(4)]),
            vec![("Slice", &["x", "[one]", "[much]", "[zero]"], &["y"], none())],
        ),
        of("the last row first", vec![("Slice", &["x", "[minus]", "[least]", "[zero]", "[minus]"], &["y"], none())]),
        of(
            "less the first row",
            vec![("Gather", &["x", "[zero]"], &["f"], axis(0)), ("Sub", &["x", "f"], &["y"], none())],
        ),
        to("rows added", (FLOAT, &[NONE, Dim::Is(4)]), vec![("Pad", &["x", "pads"], &["y"], none())]),
        to("rows repeated", (FLOAT, &[NONE, Dim::Is(4)]), vec![("Tile", &["x", "twice"], &["y"], none())]),
        of(
            "times the number of rows",
            vec![
                ("Shape", &["x"], &["s"], none()),
                ("Gather", &["s", "[zero]"], &["k"], none()),
                ("Cast", &["k"], &["f"], vec![attribute("to", 1)]),
                ("Mul", &["x", "f"], &["y"], none()),
            ],
        ),
        of(
            "plus the place of the row",
            vec![
                ("Shape", &["x"], &["s"], none()),
                ("Gather", &["s", "zero"], &["k"], none()),
                ("Range", &["zero", "k", "one"], &["r"], none()),
                ("Cast", &["r"], &["f"], vec![attribute("to", 1)]),
                ("Unsqueeze", &["f", "[one]"], &["u"], none()),
                ("Add", &["x", "u"], &["y"], none()),
            ],
        ),
        of(
            "smoothed with neighbours",
            vec![
                ("Unsqueeze", &["x", "[zero]"], &["a"], none()),
                ("Transpose", &["a"], &["t"], perm(&[0, 2, 1])),
                (
                    "AveragePool",
                    &["t"],
                    &["p"],
                    vec![numbers_attribute("kernel_shape", &[3]), numbers_attribute("pads", &[1, 1])],
                ),
                ("Transpose", &["p"], &["q"], perm(&[0, 2, 1])),
                ("Squeeze", &["q", "[zero]"], &["y"], none()),
            ],
        ),
        to(
            "Squeeze without axes",
            (FLOAT, &[NONE]),
            vec![
                ("ReduceMean", &["x"], &["m"], vec![numbers_attribute("axes", &[1]), attribute("keepdims", 1)]),
                ("Squeeze", &["m"], &["y"], none()),
            ],
        ),
        of(
            "a scale that all rows make",
            vec![
                ("DynamicQuantizeLinear", &["x"], &["q", "s", "z"], none()),
                ("DequantizeLinear", &["q", "s", "z"], &["y"], none()),
            ],
        ),
        of(
            "within a condition",
            vec![(
                "If",
                &["yes"],
                &["y"],
                vec![
                    graph_attribute(
                        "then_branch",
                        &Onnx::default()
                            .output("t", FLOAT, &[N, Dim::Is(4)])
                            .node("CumSum", &["x", "zero"], &["t"], &[])
                            .graph(),
                    ),
                    graph_attribute(
                        "else_branch",
                        &Onnx::default().output("e", FLOAT, &[N, Dim::Is(4)]).node("Relu", &["x"], &["e"], &[]).graph(),
                    ),
                ],
            )],
        ),
    ]
}

/// Recurrent graphs: the first dimension is time, the second is rows.
fn sequences() -> Vec<Animal> {
    let weighted = |operator: &str, onnx: Onnx| {
        let gates: i64 = match operator {
            "LSTM" => 4,
            "GRU" => 3,
            _ => 1,
        };
        let onnx = constants(onnx).weight(&floats("W", &[1, gates * 2, 3]));
        onnx.weight(&floats("R", &[1, gates * 2, 2])).weight(&floats("B", &[1, gates * 4]))
    };
    let time: &[Passed] = &[Passed { name: "x", dtype: DType::F32, shape: &[Rows, Is(1), Is(3)] }];
    let batch: &[Passed] = &[Passed { name: "x", dtype: DType::F32, shape: &[Rows, Is(5), Is(3)] }];
    let hidden = || vec![attribute("hidden_size", 2)];
    let mut all = Vec::new();
    for (operator, first, turned) in [
        ("LSTM", "LSTM over time", "LSTM of each row"),
        ("GRU", "GRU over time", "GRU of each row"),
        ("RNN", "RNN over time", "RNN of each row"),
    ] {
        let onnx = Onnx::default().input("x", FLOAT, &[Dim::Free("t"), Dim::Is(1), Dim::Is(3)]);
        let onnx = onnx.output("y", FLOAT, &[Dim::Free("t"), Dim::Is(1), Dim::Is(1), Dim::Is(2)]);
        let lines: Vec<Line<'_>> = vec![(operator, &["x", "W", "R", "B"], &["y"], hidden())];
        all.push(Animal {
            name: first,
            file: with(weighted(operator, onnx), lines),
            is_shown: false,
            inputs: time.to_vec(),
        });

        let onnx = Onnx::default().input("x", FLOAT, &[N, Dim::Is(5), Dim::Is(3)]).output(
            "y",
            FLOAT,
            &[N, Dim::Is(5), Dim::Is(2)],
        );
        let lines: Vec<Line<'_>> = vec![
            ("Transpose", &["x"], &["t"], perm(&[1, 0, 2])),
            (operator, &["t", "W", "R", "B"], &["a"], hidden()),
            ("Squeeze", &["a", "[one]"], &["s"], none()),
            ("Transpose", &["s"], &["y"], perm(&[1, 0, 2])),
        ];
        all.push(Animal {
            name: turned,
            file: with(weighted(operator, onnx), lines),
            is_shown: true,
            inputs: batch.to_vec(),
        });
    }
    all
}

/// Graphs with several inputs or outputs, of equal or different length.
fn of_several() -> Vec<Animal> {
    let pair = |first, second, a: Dim<'_>, b: Dim<'_>, out: (u64, &[Dim<'_>])| {
        let onnx = Onnx::default().input(first, FLOAT, &[a, Dim::Is(2)]).input(second, FLOAT, &[b, Dim::Is(2)]);
        constants(onnx.output("y", out.0, out.1))
    };
    let passed = |name, shape| Passed { name, dtype: DType::F32, shape };
    let nearest = |name, a, b, out: Dim<'_>| Animal {
        name,
        file: with(
            pair("q", "db", a, b, (INT, &[out])),
            vec![
                ("Unsqueeze", &["q", "[one]"], &["u"], none()),
                ("Sub", &["u", "db"], &["d"], none()),
                ("Mul", &["d", "d"], &["s"], none()),
                ("ReduceSum", &["s", "[two]"], &["r"], keep(0)),
                ("ArgMin", &["r"], &["y"], vec![attribute("axis", 1), attribute("keepdims", 0)]),
            ],
        ),
        is_shown: false,
        inputs: vec![passed("q", &[Rows, Is(2)]), passed("db", &[Other, Is(2)])],
    };
    let sum = |name, is_shown, dim: Dim<'_>, other: &'static [Length]| Animal {
        name,
        file: with(pair("a", "b", dim, dim, (FLOAT, &[dim, Dim::Is(2)])), vec![("Add", &["a", "b"], &["y"], none())]),
        is_shown,
        inputs: vec![passed("a", &[Rows, Is(2)]), passed("b", other)],
    };
    let lookup = Onnx::default().input("table", FLOAT, &[NONE, Dim::Is(2)]).input("i", INT, &[NONE]);
    let two = plain(N, (FLOAT, &[N, Dim::Is(4)])).output("z", INT, &[N]);
    let unequal = plain(NONE, (FLOAT, &[NONE, Dim::Is(4)])).output("z", FLOAT, &[NONE, Dim::Is(4)]);
    vec![
        nearest("nearest of two tables without names", NONE, NONE, NONE),
        nearest("nearest of two tables with empty names", Dim::Free(""), Dim::Free(""), Dim::Free("")),
        nearest(
            "nearest of two tables with numbers for names",
            Dim::Free("unk__1"),
            Dim::Free("unk__2"),
            Dim::Free("unk__3"),
        ),
        nearest("nearest of two tables of negative sizes", Dim::Is(-1), Dim::Is(-1), Dim::Is(-1)),
        nearest("nearest of two tables with names", Dim::Free("a"), Dim::Free("b"), Dim::Free("a")),
        sum("a sum of rows", true, N, &[Rows, Is(2)]),
        sum("a sum of rows without names", true, NONE, &[Rows, Is(2)]),
        sum("a sum with one row for all, without names", true, NONE, &[Is(1), Is(2)]),
        Animal {
            name: "rows of one table picked by another",
            file: with(
                constants(lookup.output("y", FLOAT, &[NONE, Dim::Is(2)])),
                vec![("Gather", &["table", "i"], &["y"], axis(0))],
            ),
            is_shown: false,
            inputs: vec![passed("table", &[Other, Is(2)]), Passed { name: "i", dtype: DType::I64, shape: &[Rows] }],
        },
        Animal {
            name: "less the mean of another table",
            file: with(
                pair("a", "b", N, Dim::Free("m"), (FLOAT, &[N, Dim::Is(2)])),
                vec![("ReduceMean", &["b"], &["m"], axes(&[0])), ("Sub", &["a", "m"], &["y"], none())],
            ),
            is_shown: false,
            inputs: vec![passed("a", &[Rows, Is(2)]), passed("b", &[Other, Is(2)])],
        },
        animal(
            "two outputs",
            true,
            with(
                two,
                vec![
                    ("Relu", &["x"], &["y"], none()),
                    ("ArgMax", &["x"], &["z"], vec![attribute("axis", 1), attribute("keepdims", 0)]),
                ],
            ),
        ),
        animal(
            "two outputs of unequal rows",
            false,
            with(unequal, vec![("Relu", &["x"], &["y"], none()), ("Concat", &["x", "row"], &["z"], axis(0))]),
        ),
    ]
}

/// Graphs of `x f32[n, 4]` with independent rows.
fn independent() -> Vec<Animal> {
    let same: (u64, &[Dim<'_>]) = (FLOAT, &[N, Dim::Is(4)]);
    let of = |name, lines| animal(name, true, with(plain(N, same), lines));
    vec![
        of("as it came", vec![("Identity", &["x"], &["y"], none())]),
        animal(
            "as it came, without a name",
            true,
            with(plain(NONE, (FLOAT, &[NONE, Dim::Is(4)])), vec![("Relu", &["x"], &["y"], none())]),
        ),
        of(
            "two layers",
            vec![
                ("MatMul", &["x", "w"], &["a"], none()),
                ("Add", &["a", "bias"], &["c"], none()),
                ("Tanh", &["c"], &["d"], none()),
                ("Gemm", &["d", "w", "bias"], &["y"], vec![attribute("transB", 1)]),
            ],
        ),
        of("Softmax of each row", vec![("Softmax", &["x"], &["y"], axis(-1))]),
        of("LayerNormalization of each row", vec![("LayerNormalization", &["x", "bias"], &["y"], axis(-1))]),
        of(
            "a mean of each row taken off",
            vec![("ReduceMean", &["x"], &["m"], axes(&[1])), ("Sub", &["x", "m"], &["y"], none())],
        ),
        of("CumSum along each row", vec![("CumSum", &["x", "one"], &["y"], none())]),
        of("the best of each row first", vec![("TopK", &["x", "four"], &["y", "i"], axis(1))]),
        of(
            "each row looks up within itself",
            vec![("TopK", &["x", "four"], &["v", "i"], axis(1)), ("GatherElements", &["x", "i"], &["y"], axis(1))],
        ),
        of(
            "Einsum with a matrix",
            vec![("Einsum", &["x", "w"], &["y"], vec![word_attribute("equation", "bi,ij->bj")])],
        ),
        of(
            "attention within each row",
            vec![
                ("Reshape", &["x", "rows"], &["r"], none()),
                ("Transpose", &["r"], &["t"], perm(&[0, 2, 1])),
                ("MatMul", &["r", "t"], &["s"], none()),
                ("Softmax", &["s"], &["a"], axis(-1)),
                ("MatMul", &["a", "r"], &["m"], none()),
                ("Reshape", &["m", "back"], &["y"], none()),
            ],
        ),
        of(
            "pads and a pool",
            vec![
                ("Pad", &["x", "wide"], &["p"], none()),
                ("Unsqueeze", &["p", "[one]"], &["u"], none()),
                ("MaxPool", &["u"], &["m"], vec![numbers_attribute("kernel_shape", &[3])]),
                ("Squeeze", &["m", "[one]"], &["y"], none()),
            ],
        ),
    ]
}

/// Graphs with computed shapes, images and tables.
fn shaped() -> Vec<Animal> {
    let same: (u64, &[Dim<'_>]) = (FLOAT, &[N, Dim::Is(4)]);
    let of = |name, lines| animal(name, true, with(plain(N, same), lines));
    let image = constants(Onnx::default().input("x", FLOAT, &[N, Dim::Is(2), Dim::Is(6), Dim::Is(6)]).output(
        "y",
        FLOAT,
        &[N, Dim::Is(4)],
    ));
    let words = constants(Onnx::default().input("ids", INT, &[NONE, Dim::Free("length")]).output(
        "y",
        FLOAT,
        &[NONE, Dim::Is(4)],
    ));
    vec![
        of(
            "a shape that is computed",
            vec![
                ("Shape", &["x"], &["s"], none()),
                ("Slice", &["s", "[zero]", "[one]", "[zero]"], &["k"], none()),
                ("Concat", &["k", "[two]", "[minus]"], &["t"], axis(0)),
                ("Reshape", &["x", "t"], &["r"], none()),
                ("Reshape", &["r", "back"], &["y"], none()),
            ],
        ),
        of(
            "a constant given to each row",
            vec![
                ("Shape", &["x"], &["s"], none()),
                ("Expand", &["row", "s"], &["e"], none()),
                ("Concat", &["x", "e"], &["c"], axis(1)),
                ("Slice", &["c", "[two]", "[much]", "[one]"], &["p"], none()),
                ("Slice", &["p", "[zero]", "four", "[one]"], &["y"], none()),
            ],
        ),
        Animal {
            name: "pictures",
            file: with(
                image.weight(&floats("filter", &[4, 2, 3, 3])),
                vec![
                    ("Conv", &["x", "filter"], &["c"], none()),
                    ("Relu", &["c"], &["r"], none()),
                    ("GlobalAveragePool", &["r"], &["g"], none()),
                    ("Flatten", &["g"], &["f"], axis(1)),
                    ("Gemm", &["f", "w", "bias"], &["y"], none()),
                ],
            ),
            is_shown: true,
            inputs: vec![Passed { name: "x", dtype: DType::F32, shape: &[Rows, Is(2), Is(6), Is(6)] }],
        },
        Animal {
            name: "words of sentences",
            file: with(
                words,
                vec![
                    ("Gather", &["w", "ids"], &["e"], none()),
                    ("ReduceMean", &["e"], &["y"], vec![numbers_attribute("axes", &[1]), attribute("keepdims", 0)]),
                ],
            ),
            is_shown: true,
            inputs: vec![Passed { name: "ids", dtype: DType::I64, shape: &[Rows, Other] }],
        },
    ]
}
