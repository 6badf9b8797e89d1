use super::rule::{Makes, Rule, op};

const FLOATS: &str = "f16 f32 f64";
/// Types for operators that sum. tract sums f16 values in f16, so f16 is excluded.
const WIDE: &str = "f32 f64";
const NUMBERS: &str = "f16 f32 f64 i32 i64 u8";
const SIGNED: &str = "f16 f32 f64 i32 i64";
const ALL: &str = "f16 f32 f64 i32 i64 u8 bool";
const INTEGERS: &str = "i32 i64 u8";

const CONV: &str = "kernel_shape strides pads dilations group auto_pad";
const RESIZE: &str = "mode nearest_mode cubic_coeff_a exclude_outside extrapolation_value axes antialias \
                      keep_aspect_ratio_policy \
                      coordinate_transformation_mode=half_pixel|asymmetric|pytorch_half_pixel|tf_crop_and_resize";
const REDUCE: &str = "axes keepdims noop_with_empty_axes";

/// The operators that tract 0.23.9 computes as ONNX defines, with the exact operators in place.
///
/// Missing operators are refused. Among them are:
///
/// - Hardmax (several ones if elements are equal)
/// - Celu and Swish (alpha)
/// - the approximation of Gelu by tanh (-inf)
/// - BitShift (by its width and more)
/// - OneHot, GatherND and ScatterND (indices from the end, or out of bounds)
/// - ReduceLogSumExp (overflow)
/// - TopK of floating-point numbers (NaN)
/// - DynamicQuantizeLinear (only zeros)
/// - the reverse direction, clips and other activations of LSTM, GRU and RNN
/// - `align_corners` of Resize by scales
/// - `mode` of SpaceToDepth
/// - all operators of the domains ai.onnx.ml (labels, post transforms) and com.microsoft
pub(super) const TRACT: &[Rule] = &[
    op("Abs").on(NUMBERS),
    op("Acos").on(FLOATS),
    op("Acosh").on(FLOATS),
    op("Add").on(NUMBERS),
    op("And").on("bool"),
    op("ArgMax").with("axis keepdims select_last_index").on(NUMBERS).makes(&[Makes::I64]),
    op("ArgMin").with("axis keepdims select_last_index").on(NUMBERS).makes(&[Makes::I64]),
    op("Asin").on(FLOATS),
    op("Asinh").on(FLOATS),
    op("Atan").on(FLOATS),
    op("Atanh").on(FLOATS),
    op("AveragePool").with("kernel_shape strides pads dilations ceil_mode auto_pad count_include_pad").on(WIDE),
    op("BatchNormalization").with("epsilon momentum spatial=1 training_mode=0").on(WIDE).outputs(1),
    op("BitwiseAnd").on(INTEGERS),
    op("BitwiseNot").on(INTEGERS),
    op("BitwiseOr").on(INTEGERS),
    op("BitwiseXor").on(INTEGERS),
    op("BlackmanWindow").with("periodic output_datatype=1").makes(&[Makes::F32]),
    op("Cast").with("to saturate=1 round_mode=up").on(ALL).makes(&[Makes::Named("to")]),
    op("CastLike").with("saturate=1 round_mode=up").on(ALL).makes(&[Makes::Like(1)]),
    op("Ceil").on(FLOATS),
    op("Clip").with("min max").on(SIGNED),
    op("Compress").with("axis").on(ALL),
    op("Concat").with("axis").on(ALL),
    op("Constant").with("value value_int value_ints value_float value_floats").makes(&[Makes::Constant]),
    op("ConstantOfShape").with("value").makes(&[Makes::Constant]),
    op("Conv").with(CONV).on(WIDE),
    op("ConvInteger").with(CONV).on("u8").makes(&[Makes::I32]),
    op("ConvTranspose").with("kernel_shape strides pads dilations group auto_pad output_padding output_shape").on(WIDE),
    op("Cos").on(FLOATS),
    op("Cosh").on(FLOATS),
    op("CumSum").with("exclusive reverse").on(SIGNED),
    op("DFT").with("axis inverse onesided").on("f32"),
    op("DepthToSpace").with("blocksize mode").on(ALL),
    op("DequantizeLinear").with("axis").on("u8 i32").makes(&[Makes::Like(1)]),
    op("Div").on(NUMBERS),
    op("Dropout").with("ratio seed").on(FLOATS).inputs(1, 2).outputs(1),
    op("Einsum").with("equation").on(WIDE),
    op("Elu").with("alpha").on(FLOATS),
    op("Equal").on(ALL).makes(&[Makes::Bool]),
    op("Erf").on(FLOATS),
    op("Exp").on(FLOATS),
    op("Expand").on(ALL),
    op("EyeLike").with("dtype k").on(ALL).makes(&[Makes::Named("dtype")]),
    op("Flatten").with("axis").on(ALL),
    op("Floor").on(FLOATS),
    op("GRU")
        .with(
            "hidden_size direction=forward|bidirectional layout linear_before_reset \
             activations=Sigmoid,Tanh|Sigmoid,Tanh,Sigmoid,Tanh",
        )
        .on("f32"),
    op("Gather").with("axis").on(ALL),
    op("GatherElements").with("axis").on(ALL),
    op("Gelu").with("approximate=none").on(WIDE),
    op("Gemm").with("alpha beta transA transB").on(WIDE),
    op("GlobalAveragePool").on(WIDE),
    op("GlobalLpPool").with("p").on(WIDE),
    op("GlobalMaxPool").on(WIDE),
    op("Greater").on(NUMBERS).makes(&[Makes::Bool]),
    op("GreaterOrEqual").on(NUMBERS).makes(&[Makes::Bool]),
    op("GridSample").with("align_corners mode=linear|bilinear|nearest padding_mode").on("f32"),
    op("GroupNormalization").with("epsilon num_groups stash_type=1").on("f32"),
    op("HammingWindow").with("periodic output_datatype=1").makes(&[Makes::F32]),
    op("HannWindow").with("periodic output_datatype=1").makes(&[Makes::F32]),
    op("HardSigmoid").with("alpha beta").on(FLOATS),
    op("HardSwish").on(FLOATS),
    op("Identity").on(ALL),
    op("If").with("then_branch else_branch").makes(&[Makes::Body]),
    op("InstanceNormalization").with("epsilon").on(WIDE),
    op("IsInf").with("detect_negative detect_positive").on(FLOATS).makes(&[Makes::Bool]),
    op("IsNaN").on(FLOATS).makes(&[Makes::Bool]),
    op("LRN").with("size=1|3|5|7|9|11|13 alpha beta bias").on("f32"),
    op("LSTM")
        .with(
            "hidden_size direction=forward|bidirectional layout input_forget=0 \
             activations=Sigmoid,Tanh,Tanh|Sigmoid,Tanh,Tanh,Sigmoid,Tanh,Tanh",
        )
        .on("f32"),
    op("LayerNormalization").with("axis epsilon stash_type=1").on("f32"),
    op("LeakyRelu").with("alpha").on(FLOATS),
    op("Less").on(NUMBERS).makes(&[Makes::Bool]),
    op("LessOrEqual").on(NUMBERS).makes(&[Makes::Bool]),
    op("Log").on(FLOATS),
    op("LogSoftmax").with("axis").on(WIDE).since(13),
    op("LpNormalization").with("axis p").on(WIDE),
    op("MatMul").on("f32 f64 i32 i64"),
    op("MatMulInteger").on("u8").makes(&[Makes::I32]),
    op("Max").on(NUMBERS),
    op("MaxPool")
        .with("kernel_shape strides pads dilations ceil_mode auto_pad storage_order")
        .on(WIDE)
        .makes(&[Makes::Like(0), Makes::I64]),
    op("Mean").on(WIDE),
    op("MeanVarianceNormalization").with("axes").on(WIDE),
    op("MelWeightMatrix").with("output_datatype=1").makes(&[Makes::F32]),
    op("Min").on(NUMBERS),
    op("Mish").on(WIDE),
    op("Mod").with("fmod").on(NUMBERS),
    op("Mul").on(NUMBERS),
    op("Neg").on(SIGNED),
    op("NonMaxSuppression").with("center_point_box").on("f32").inputs(3, 5).makes(&[Makes::I64]),
    op("NonZero").on(ALL).makes(&[Makes::I64]),
    op("Not").on("bool"),
    op("Or").on("bool"),
    op("PRelu").on(FLOATS),
    op("Pad").with("mode=constant pads value").on(ALL),
    op("Pad").with("mode=reflect|edge pads").on(ALL).inputs(1, 2),
    op("Pow").on(SIGNED),
    op("QLinearConv").with(CONV).on("u8").makes(&[Makes::U8]),
    op("QLinearMatMul").on("u8").makes(&[Makes::U8]),
    op("QuantizeLinear").with("axis saturate=1").on(WIDE).inputs(3, 3).makes(&[Makes::Like(2)]),
    op("QuantizeLinear").with("axis saturate=1").on(WIDE).inputs(2, 2).makes(&[Makes::U8]),
    op("RMSNormalization").with("axis epsilon stash_type=1").on("f32"),
    op("RNN").with("hidden_size direction=forward|bidirectional layout activations=Tanh|Tanh,Tanh").on("f32"),
    op("Range").on(SIGNED),
    op("Reciprocal").on(FLOATS),
    op("ReduceL1").with(REDUCE).on(WIDE),
    op("ReduceL2").with(REDUCE).on(WIDE),
    op("ReduceLogSum").with(REDUCE).on(WIDE),
    op("ReduceMax").with(REDUCE).on(NUMBERS),
    op("ReduceMean").with(REDUCE).on(WIDE),
    op("ReduceMin").with(REDUCE).on(NUMBERS),
    op("ReduceProd").with(REDUCE).on(WIDE),
    op("ReduceSum").with(REDUCE).on("f32 f64 i32 i64"),
    op("ReduceSumSquare").with(REDUCE).on(WIDE),
    op("Relu").on(SIGNED),
    op("Reshape").with("allowzero").on(ALL),
    op("Resize").with(RESIZE).on("f32"),
    op("Resize")
        .with("mode nearest_mode cubic_coeff_a exclude_outside axes coordinate_transformation_mode=align_corners")
        .on("f32")
        .inputs(4, 4),
    op("Round").on(FLOATS),
    op("STFT").with("onesided").on("f32"),
    op("Scan")
        .with("body num_scan_inputs scan_input_axes scan_input_directions scan_output_axes scan_output_directions")
        .since(9)
        .makes(&[Makes::Body]),
    op("Scatter").with("axis").on(ALL),
    op("ScatterElements").with("axis reduction=none|add|mul").on(ALL),
    op("Selu").with("alpha gamma").on(FLOATS),
    op("Shape").with("start end").makes(&[Makes::I64]),
    op("Shrink").with("bias lambd").on(FLOATS),
    op("Sigmoid").on(FLOATS),
    op("Sign").on(NUMBERS),
    op("Sin").on(FLOATS),
    op("Sinh").on(FLOATS),
    op("Size").makes(&[Makes::I64]),
    op("Slice").with("axes ends starts").on(ALL),
    op("Softmax").with("axis").on(WIDE),
    op("Softplus").on(FLOATS),
    op("Softsign").on(FLOATS),
    op("SpaceToDepth").with("blocksize mode=DCR").on(ALL),
    op("Split").with("axis split num_outputs").on(ALL),
    op("Sqrt").on(FLOATS),
    op("Squeeze").with("axes").on(ALL),
    op("Sub").on(NUMBERS),
    op("Sum").on(SIGNED),
    op("Tan").on(FLOATS),
    op("Tanh").on(FLOATS),
    op("ThresholdedRelu").with("alpha").on(FLOATS),
    op("Tile").on(ALL),
    op("TopK").with("axis largest sorted=1").on(INTEGERS).makes(&[Makes::Like(0), Makes::I64]),
    op("Transpose").with("perm").on(ALL),
    op("Trilu").with("upper").on(ALL),
    op("Unsqueeze").with("axes").on(ALL),
    op("Where").on(ALL).typed_by(1),
    op("Xor").on("bool"),
];

/// The forms that ONNX Runtime 1.32 computes as ONNX defines, for those operators that it does not compute in
/// all forms. ONNX Runtime itself refuses unknown operators.
///
/// Missing forms of these operators are refused. Among them are:
///
/// - Attention with its fourth output, or with lengths of keys (mask and scores)
/// - ConvInteger with padding
/// - MaxUnpool by an output shape
/// - ReduceMax of bool
/// - `align_corners` of Resize by scales
/// - training of Dropout (random)
///
/// A node that leaves out its first output and has a later one is refused too, because some such nodes crash
/// the process.
pub(super) const ONNXRUNTIME: &[Rule] = &[
    op("Attention")
        .with("is_causal kv_num_heads q_num_heads qk_matmul_output_mode scale softcap softmax_precision")
        .inputs(3, 6)
        .outputs(3),
    op("ConvInteger").with("kernel_shape strides dilations group auto_pad=NOTSET|VALID pads=0|0,0|0,0,0,0|0,0,0,0,0,0"),
    op("Dropout").with("ratio seed").inputs(1, 2),
    op("MaxUnpool").with("kernel_shape strides pads").inputs(2, 2),
    op("ReduceMax").with(REDUCE).on(NUMBERS),
    op("Resize").with(RESIZE),
    op("Resize").with(
        "mode nearest_mode cubic_coeff_a exclude_outside axes antialias keep_aspect_ratio_policy \
         coordinate_transformation_mode=half_pixel_symmetric|tf_half_pixel_for_nn",
    ),
    op("Resize")
        .with(
            "mode nearest_mode cubic_coeff_a exclude_outside axes antialias keep_aspect_ratio_policy \
             coordinate_transformation_mode",
        )
        .inputs(4, 4),
];

/// Operators for which tract handles a left-out input before another input.
pub(super) const TRACT_KNOWS_MISSING_INPUTS: [&str; 11] =
    ["Clip", "ConvInteger", "DFT", "GRU", "LSTM", "MatMulInteger", "Pad", "RNN", "Resize", "STFT", "Slice"];
/// Operators for which tract handles a left-out output before another output.
pub(super) const TRACT_KNOWS_MISSING_OUTPUTS: [&str; 3] = ["GRU", "LSTM", "RNN"];
