use super::attributes::Node;
use super::value::{Found, Value};
use super::{arrange, elementwise, index, linear, reduce, reshape, window};

/// The outputs of an ONNX operator. Outputs that are missing in the result are not followed.
///
/// # Errors
/// The operator is not known to work row by row. The text is the reason.
pub(super) fn outputs(node: &Node<'_>) -> Found<Vec<Value>> {
    let one = match node.operator() {
        "Abs" | "Acos" | "Acosh" | "Asin" | "Asinh" | "Atan" | "Atanh" | "BitwiseNot" | "Cast" | "Ceil" | "Celu"
        | "Cos" | "Cosh" | "Elu" | "Erf" | "Exp" | "Floor" | "Gelu" | "HardSigmoid" | "HardSwish" | "Identity"
        | "IsInf" | "IsNaN" | "LeakyRelu" | "Log" | "Mish" | "Neg" | "Not" | "Reciprocal" | "Relu" | "Round"
        | "Selu" | "Shrink" | "Sigmoid" | "Sign" | "Sin" | "Sinh" | "Softplus" | "Softsign" | "Sqrt" | "Swish"
        | "Tan" | "Tanh" | "ThresholdedRelu" => elementwise::unary(node),
        "Add" | "And" | "BitShift" | "BitwiseAnd" | "BitwiseOr" | "BitwiseXor" | "Div" | "Equal" | "Greater"
        | "GreaterOrEqual" | "Less" | "LessOrEqual" | "Max" | "Mean" | "Min" | "Mod" | "Mul" | "Or" | "PRelu"
        | "Pow" | "Sub" | "Sum" | "Where" | "Xor" => elementwise::several(node),
        "Clip" => elementwise::first_alone(node),
        "Dropout" => elementwise::dropout(node),
        "DequantizeLinear" | "QuantizeLinear" => elementwise::quantize(node),

        "MatMul" => linear::matmul(node),
        "Gemm" => linear::gemm(node),
        "Einsum" => linear::einsum(node),
        "BatchNormalization" => linear::batch_normalization(node),
        "GroupNormalization" | "InstanceNormalization" => linear::by_instance(node),
        "GRU" | "LSTM" | "RNN" => return linear::recurrent(node),

        "Conv" | "ConvTranspose" => window::convolution(node),
        "AveragePool" | "LpPool" | "MaxPool" => window::pool(node),
        "GlobalAveragePool" | "GlobalLpPool" | "GlobalMaxPool" => window::global_pool(node),
        "DepthToSpace" | "SpaceToDepth" => window::depth(node),
        "LRN" => window::local_normalization(node),
        "Resize" | "Upsample" => window::resize(node),

        "ReduceL1" | "ReduceL2" | "ReduceLogSum" | "ReduceLogSumExp" | "ReduceMax" | "ReduceMean" | "ReduceMin"
        | "ReduceProd" | "ReduceSum" | "ReduceSumSquare" => reduce::reduce(node),
        "ArgMax" | "ArgMin" => reduce::arg(node),
        "Hardmax" | "LogSoftmax" | "Softmax" => reduce::softmax(node),
        "LpNormalization" => reduce::along_axis(node, -1),
        "LayerNormalization" | "RMSNormalization" => return reduce::layer_normalization(node),
        "CumSum" => reduce::cumulative(node),
        "TopK" => return reduce::top(node),

        "Constant" => reshape::of_the_file(node),
        "ConstantOfShape" => reshape::filled(node),
        "Expand" => reshape::expand(node),
        "Flatten" => reshape::flatten(node),
        "Reshape" => reshape::reshape(node),
        "Shape" => reshape::shape(node),
        "Size" => reshape::size(node),
        "Squeeze" => reshape::squeeze(node),
        "Tile" => reshape::tile(node),
        "Unsqueeze" => reshape::unsqueeze(node),

        "Concat" => arrange::concatenate(node),
        "Pad" => arrange::pad(node),
        "Slice" => arrange::slice(node),
        "Split" => return arrange::split(node),
        "Transpose" => arrange::transpose(node),
        "Trilu" => arrange::triangle(node),

        "Gather" => index::gather(node),
        "GatherElements" => index::gather_elements(node),
        "OneHot" => index::one_hot(node),
        "Range" => index::range(node),
        _ => Err("is not among those that are known to go row by row".to_owned()),
    };
    Ok(vec![one?])
}

/// Whether an operator gives the same output for the same input. A random operator does not.
pub(super) fn is_repeatable(operator: &str) -> bool {
    !matches!(
        operator,
        "Bernoulli" | "Multinomial" | "RandomNormal" | "RandomNormalLike" | "RandomUniform" | "RandomUniformLike"
    )
}
