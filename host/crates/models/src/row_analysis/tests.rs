//! Graphs as text, with a line for each node, and the result for their rows. The model zoo of the end-to-end
//! tests runs each operator in batches.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto};

use super::analyse;
use crate::{DType, Dimension, ModelFacts, TensorSpec};
use sage_plan::GraphRows;

/// Parses `x[n, 4]`: an f32 value called `x` with this shape.
fn spec(words: &str) -> TensorSpec {
    let (name, shape) = words.split_once('[').unwrap();
    let dimension = |size: &str| size.parse().map_or_else(|_| Dimension::free(size), Dimension::Fixed);
    let shape = shape.trim_end_matches(']').split(',').map(|size| dimension(size.trim())).collect();
    TensorSpec { name: name.to_owned(), dtype: DType::F32, shape }
}

fn specs(words: &str) -> Vec<TensorSpec> {
    words.split(' ').map(spec).collect()
}

/// A weight of zeros with a shape, or integers: `w[3,4]`, `axes=0,1`, `k=:3` (a single number).
fn weight(words: &str) -> TensorProto {
    if let Some((name, numbers)) = words.split_once('=') {
        let int64_data: Vec<i64> = numbers.trim_start_matches(':').split(',').map(|n| n.parse().unwrap()).collect();
        let dims = if numbers.starts_with(':') { Vec::new() } else { vec![int64_data.len() as i64] };
        return TensorProto {
            name: name.to_owned(),
            data_type: DataType::Int64 as i32,
            dims,
            int64_data,
            ..TensorProto::default()
        };
    }
    let (name, shape) = words.split_once('[').unwrap();
    let dims = shape.trim_end_matches(']').split(',').filter(|size| !size.is_empty()).map(|size| size.parse().unwrap());
    TensorProto {
        name: name.to_owned(),
        data_type: DataType::Float as i32,
        dims: dims.collect(),
        ..TensorProto::default()
    }
}

/// Parses `y z = Operator a b axis:1 perm:0,2,1 mode:@text`.
fn node(line: &str) -> NodeProto {
    let (outputs, rest) = line.split_once(" = ").unwrap();
    let mut words = rest.split(' ');
    let operator = words.next().unwrap();
    let (attributes, inputs): (Vec<&str>, Vec<&str>) = words.partition(|word| word.contains(':'));
    let attribute = |word: &str| {
        let (name, value) = word.split_once(':').unwrap();
        let mut attribute = AttributeProto { name: name.to_owned(), ..AttributeProto::default() };
        if let Some(text) = value.strip_prefix('@') {
            (attribute.r#type, attribute.s) = (AttributeType::String as i32, text.as_bytes().to_vec());
        } else if value == "graph" {
            (attribute.r#type, attribute.g) = (AttributeType::Graph as i32, Some(GraphProto::default()));
        } else {
            attribute.ints = value.split(',').map(|number| number.parse().unwrap()).collect();
            attribute.i = attribute.ints[0];
        }
        attribute
    };
    let (domain, op_type) = operator.rsplit_once('.').unwrap_or(("", operator));
    NodeProto {
        input: inputs.iter().map(|name| name.trim_matches('_').to_owned()).collect(),
        output: outputs.split(' ').map(str::to_owned).collect(),
        op_type: op_type.to_owned(),
        domain: domain.to_owned(),
        attribute: attributes.into_iter().map(attribute).collect(),
        ..NodeProto::default()
    }
}

/// The result for a graph with output `y`.
fn said_of(version: i64, (inputs, output): (&str, &str), weights: &str, nodes: &str) -> GraphRows {
    let graph = GraphProto {
        node: nodes.split("; ").map(node).collect(),
        initializer: weights.split_whitespace().map(weight).collect(),
        ..GraphProto::default()
    };
    let opset_import = vec![OperatorSetIdProto { domain: String::new(), version }];
    let model = ModelProto { graph: Some(graph), opset_import, ..ModelProto::default() };
    let facts =
        ModelFacts { inputs: specs(inputs), outputs: specs(output), weight_bytes: 0, rows: GraphRows::default() };
    analyse(&model, &facts)
}

#[track_caller]
fn shown(version: i64, sides: (&str, &str), weights: &str, nodes: &str) {
    assert_eq!(said_of(version, sides, weights, nodes), GraphRows::ByOperators, "{nodes}");
}

#[track_caller]
fn not_shown(version: i64, sides: (&str, &str), weights: &str, nodes: &str, why: &str) {
    assert_eq!(said_of(version, sides, weights, nodes), GraphRows::NotShown(why.to_owned()), "{nodes}");
}

const PLAIN: (&str, &str) = ("x[n,4]", "y[n,4]");

#[test]
fn operators_that_go_row_by_row_are_followed() {
    let cases = [
        ("w[4]", "y = Add x w"),
        ("w[1,4]", "y = Mul w x"),
        ("w[4,4] b[4]", "a = MatMul x w; y = Add a b"),
        ("w[4,4] b[4]", "y = Gemm x w b transB:1"),
        ("", "y = Softmax x axis:-1"),
        ("", "y = Softmax x"),
        ("axes=1", "m = ReduceMean x axes:1; y = Sub x m"),
        ("axes=1", "m = ReduceSum x axes keepdims:0; u = Unsqueeze m axes; y = Div x u"),
        ("one=1", "y = CumSum x one"),
        ("k=4", "y i = TopK x k"),
        ("s=-1,4", "y = Reshape x s"),
        ("s=0,2,2 t=0,-1", "a = Reshape x s; b = Transpose a perm:0,2,1; y = Reshape b t"),
        (
            "zero=:0 four=4 axes=0",
            "s = Shape x; n = Gather s zero; u = Unsqueeze n axes; t = Concat u four axis:0; y = Reshape x t",
        ),
        ("a=0 b=1 m=-1", "s = Shape x; n = Slice s a b a; t = Concat n m axis:0; y = Reshape x t"),
        ("f=0,0 e=2147483647,2", "a = Slice x f e; y = Concat a a axis:1"),
        ("two=2,2", "a b = Split x two axis:1; y = Concat b a axis:1"),
        ("w[1,4]", "s = Shape x; e = Expand w s; y = Add x e"),
        ("", "s = Shape x; z = ConstantOfShape s; y = Add x z"),
        ("w[4] lo[] hi[]", "c = Clip x lo hi; d = Dropout c; y = PRelu d w"),
        ("w[4] b[4]", "y = LayerNormalization x w b"),
        ("p=0,1,0,1", "a = Pad x p; f = Flatten a; g = Relu f; t = Slice g q r one; y = Identity t"),
        ("w[4,4]", "y = Einsum x w equation:@bi,ij->bj"),
        // A node that no output depends on has no effect.
        ("zero=:0", "c = CumSum x zero; y = Relu x"),
        // Any operator may compute a constant.
        ("w[4]", "n = NonZero w; s = Size w; c = Cast s to:1; y = Mul x c"),
    ];
    for (weights, nodes) in cases {
        let more = if weights.starts_with("p=") { format!("{weights} q=1 r=5 one=1") } else { weights.to_owned() };
        shown(17, PLAIN, &more, nodes);
    }
    shown(11, PLAIN, "", "y = Softmax x");
    shown(11, PLAIN, "", "m = ReduceSum x axes:1; y = Sub x m");
}

#[test]
fn images_sequences_and_tables_are_followed() {
    let image = "c = Conv x w b kernel_shape:3,3 pads:1,1,1,1; n = BatchNormalization c s s s s; \
                 p = MaxPool n kernel_shape:2,2 strides:2,2; \
                 f = Reshape p flat; y = Gemm f dense";
    shown(17, ("x[?,3,8,8]", "y[?,2]"), "w[6,3,3,3] b[6] s[6] flat=-1,96 dense[96,2]", image);
    let pooled = "c = Conv x w; g = GlobalAveragePool c; y = Flatten g";
    shown(17, ("x[n,3,h,w]", "y[n,6]"), "w[6,3,3,3]", pooled);
    // Batch first around a sequence first, as PyTorch exports it.
    let recurrent =
        "t = Transpose x perm:1,0,2; a h c = LSTM t w r b hidden_size:5; q = Squeeze a one; y = Transpose q perm:1,0,2";
    shown(17, ("x[n,t,4]", "y[n,t,5]"), "w[1,20,4] r[1,20,5] b[1,40] one=1", recurrent);
    let states = "s = Shape x; n = Slice s one two; z = Concat first n last axis:0; h = ConstantOfShape z; \
                  a l = GRU x w r _ _ h hidden_size:5; y = Transpose l perm:1,0,2";
    not_shown(
        17,
        ("x[t,n,4]", "y[t,1,5]"),
        "w[1,15,4] r[1,15,5] one=1 two=2 first=1 last=5",
        states,
        "GRU (a) goes from row to row: its sequence is the rows",
    );
    let table = "e = Gather words ids; p = Add e places; m = ReduceMean p axes:1 keepdims:0; y = Relu m";
    shown(17, ("ids[n,7]", "y[n,8]"), "words[100,8] places[7,8]", table);
    let attention = "k = Transpose x perm:0,2,1; s = MatMul x k; a = Softmax s; y = MatMul a x";
    shown(17, ("x[n,t,8]", "y[n,t,8]"), "", attention);
    let two = "s = Mul a b; y = ReduceSum s axes";
    shown(17, ("a[n,4] b[n,4]", "y[n,1]"), "axes=1", two);
    // A transformer in the form that exporters write: positions are cut to the length, a mask is given to
    // each head, shapes are computed and checked.
    let bert = "s = Shape ids; l = Gather s one; u = Unsqueeze l zero_axis; p = Slice places first u one_axis; \
                pe = Gather table p; we = Gather words ids; e = Add we pe; m = Unsqueeze mask mid; c = Cast m to:1; \
                n = Gather s zero; nu = Unsqueeze n zero_axis; es = Concat nu one_axis one_axis u axis:0; \
                minus = Mul ones less; q = Equal es minus; w = Where q ones es; x = Expand c w; \
                hs = Concat nu u heads axis:0; h = Reshape e hs; t = Transpose h perm:0,2,1,3; \
                tt = Transpose h perm:0,2,3,1; a = MatMul t tt; b = Add a x; o = Softmax b; \
                v = MatMul o t; vt = Transpose v perm:0,2,1,3; bs = Concat nu u width axis:0; y = Reshape vt bs";
    let weights = "one=:1 zero=:0 zero_axis=0 one_axis=1 first=0 mid=1,2 less=:-1 ones=1,1,1,1 heads=2,4 width=8 \
                   places[1,64] table[64,8] words[100,8]";
    shown(17, ("ids[n,l] mask[n,l]", "y[n,l,8]"), weights, bert);
    // First dimensions without names are rows if all inputs of a call have the same length, which the queue
    // checks.
    shown(17, ("a[?,4] b[?,4]", "y[?,4]"), "", "y = Add a b");
    shown(17, ("x[n,t,4]", "y[n,t,4]"), "s=-1,4 t=0,-1,4", "a = Reshape x t; y = Relu a");
}

#[test]
fn what_goes_along_the_rows_is_named() {
    let cases = [
        ("zero=:0", "y = CumSum x zero", "CumSum (y) works along the rows (axis 0)"),
        ("", "y = Softmax x axis:0", "Softmax (y) works along the rows (axis 0)"),
        ("", "y = Softmax x axis:-2", "Softmax (y) works along the rows (axis 0)"),
        ("", "m = ReduceMean x axes:0; y = Sub x m", "ReduceMean (m) works along the rows (axis 0)"),
        ("", "m = ReduceMax x; y = Div x m", "ReduceMax (m) works along the rows (axis 0)"),
        ("", "m = ArgMax x; c = Cast m to:1; y = Add x c", "ArgMax (m) works along the rows (axis 0)"),
        ("k=4", "y i = TopK x k axis:0", "TopK (y) works along the rows (axis 0)"),
        ("w[4] b[4]", "y = LayerNormalization x w b axis:0", "LayerNormalization (y) works along the rows (axis 0)"),
        ("", "t = Transpose x; y = MatMul t x", "MatMul (y) adds up over the rows"),
        ("", "y = Einsum x x equation:@id,jd->ij", "Einsum (y) puts each row beside each other row"),
        ("", "y = Einsum x x equation:@id,ie->de", "Einsum (y) adds up over the rows"),
        ("", "t = Transpose x; y = MatMul x t", "MatMul (y) puts each row beside each other row"),
        ("w[4,4]", "y = Gemm x w transA:1", "Gemm (y) adds up over the rows"),
        ("s=-1,2", "y = Reshape x s", "Reshape (y) makes a shape whose first dimension is not known to be the rows"),
        ("s=2,-1", "y = Reshape x s", "Reshape (y) makes a shape whose first dimension is not known to be the rows"),
        ("s=1,4", "y = Reshape x s", "Reshape (y) makes a shape without rows"),
        ("", "y = Flatten x axis:0", "Flatten (y) puts rows into one dimension with others"),
        ("", "y = Flatten x axis:-2", "Flatten (y) puts rows into one dimension with others"),
        ("", "y = Transpose x", "the rows are dimension 1 of output y, not its first"),
        ("", "y = Concat x x axis:0", "Concat (y) puts rows one after the other"),
        ("w[1,4]", "y = Concat x w axis:0", "Concat (y) puts rows one after the other"),
        ("i=0", "y = Gather x i", "Gather (y) picks among the rows"),
        ("a=1 b=9 c=0", "y = Slice x a b c", "Slice (y) leaves rows out by their place"),
        ("a=-1 b=-9999999 c=0 d=-1", "y = Slice x a b c d", "Slice (y) leaves rows out by their place"),
        ("p=1,0,0,0", "y = Pad x p", "Pad (y) adds rows"),
        ("r=2,1", "y = Tile x r", "Tile (y) repeats rows"),
        ("w[3,4]", "y = Add x w", "Add (y) combines rows with a dimension that is not the rows"),
        ("", "s = Squeeze x; y = Relu s", "Squeeze (s) removes the rows where there is one, since it names no axes"),
        ("", "n = NonZero x; y = Transpose n", "NonZero (n) is not among those that are known to go row by row"),
        ("", "s = Shape x; c = Cast s to:1; y = Mul x c", "Mul (y) uses the number of rows as a number"),
        (
            "zero=:0 one=:1",
            "s = Shape x; n = Gather s zero; r = Range zero n one; y = Add x r",
            "Range (r) uses the number of rows as a number",
        ),
        ("", "y = RandomNormalLike x", "RandomNormalLike (y) draws at random"),
        ("", "y = Loop x body:graph", "Loop (y) holds a graph of its own"),
        ("", "y = com.example.Relu x", "Relu (y) of com.example is not known here"),
        ("", "y = Relu nothing", "Relu (y) takes a value that was not made before it"),
        ("", "y = Relu x; y = Abs x", "two operators make y"),
        ("w[4]", "y = Identity w", "output y has no rows"),
        ("", "z = Relu x", "nothing makes output y"),
        (
            "axes=1",
            "m = ReduceSum x axes axes:0; y = Sub x m",
            "ReduceSum (m) gives its axes in the form of another version",
        ),
        ("", "y = Softmax x axis:1 axis:0", "Softmax (y) has an attribute twice, or very many attributes"),
        (
            "w[4] m[4]",
            "y mean var = BatchNormalization x w w m m",
            "BatchNormalization (y) is training: it normalises by the rows that there are",
        ),
        (
            "",
            "q s z = DynamicQuantizeLinear x; y = DequantizeLinear q s z",
            "DynamicQuantizeLinear (q) is not among those that are known to go row by row",
        ),
    ];
    for (weights, nodes, why) in cases {
        not_shown(17, PLAIN, weights, nodes, why);
    }
    not_shown(11, PLAIN, "", "y = Softmax x axis:0", "Softmax (y) works along the rows (axis 0)");
    let places = ("x[n,3,8,8]", "y[n,3,4,4]");
    let nodes = "y i = MaxPool x kernel_shape:2,2 strides:2,2";
    not_shown(17, places, "", nodes, "MaxPool (y) returns indices among all rows");
}

#[test]
fn versions_and_names_that_are_not_known_show_nothing() {
    let why = "operators of version 6 are not known, only 7..=24";
    not_shown(6, PLAIN, "w[4]", "y = Add x w", why);
    not_shown(99, PLAIN, "", "y = Relu x", "operators of version 99 are not known, only 7..=24");
    not_shown(17, ("a[n,4] b[m,4]", "y[n,4]"), "", "y = Add a b", "the first dimension of a is n, that of b is m");
    shown(17, ("x[n,4]", "y[k,4]"), "", "y = Relu x");
    not_shown(17, ("x[n,4]", "y[1,4]"), "", "y = Relu x", "the first dimension of output y is 1");
    not_shown(17, ("x[n,4] t[1]", "y[n,4]"), "", "y = Add x t", "the first dimension of input t is 1");
}

#[test]
fn any_bytes_of_a_file_are_an_answer() {
    // Attributes that point outside, shapes that overflow, lists of another length.
    let odd = [
        ("w[9223372036854775807,9223372036854775807]", "y = Add x w"),
        ("s=9223372036854775807,9223372036854775807,-1", "y = Reshape x s"),
        ("s=-9223372036854775808,-1", "y = Reshape x s"),
        ("i=-9223372036854775808", "s = Shape x; n = Gather s i; y = Reshape x n"),
        ("a=-9223372036854775808 b=9223372036854775807", "y = Slice x a b"),
        ("p=9223372036854775807,9223372036854775807,1", "y = Pad x p"),
        ("", "y = Transpose x perm:9223372036854775807,0"),
        ("", "y = Softmax x axis:-9223372036854775808"),
        ("", "y = Shape x start:-9223372036854775808 end:9223372036854775807"),
        ("k=:9223372036854775807", "y i = TopK x k axis:9223372036854775807"),
        ("w[1,1,1]", "y = Conv x w strides:0 dilations:9223372036854775807 pads:9223372036854775807"),
        ("d=:9223372036854775807", "y = OneHot x d d axis:-9223372036854775808"),
        ("a=9223372036854775807", "y = Unsqueeze x a"),
        ("", "y = Split x axis:-3"),
        ("", "y = Add"),
        ("", "y = Where x"),
        ("", "y = LSTM x"),
        ("", "y = Einsum x equation:@->"),
        (
            "w[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,\
             1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]",
            "y = Add x w",
        ),
    ];
    for (weights, nodes) in odd {
        let said = said_of(17, PLAIN, weights, nodes);
        assert!(said != GraphRows::MadeUp, "{nodes}");
    }
}
