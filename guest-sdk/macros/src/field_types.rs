use syn::spanned::Spanned;
use syn::{Error, GenericArgument, PathArguments, Result, Type};

/// Checks the type of a field by its name. The compiler would report a type without the trait as well, but once for
/// each use in the generated code, nine times.
pub(crate) fn check(ty: &Type) -> Result<()> {
    let json = "the value of a field is a number, text, bytes, or a `Vec` of these: for anything else, write `&str` with \
        `#[record(json)]`, the text of the JSON value";
    let wrong = match ty {
        Type::Reference(reference) if reference.mutability.is_some() => Some("a record only reads: write `&str`"),
        Type::Reference(reference) => match &*reference.elem {
            Type::Path(path) if path.path.is_ident("str") => None,
            Type::Slice(slice) => return element(&slice.elem),
            Type::Array(_) => Some(json),
            _ => Some("write the value itself, `&str` or `&[u8]`"),
        },
        Type::Array(_) | Type::Tuple(_) => Some(json),
        Type::Path(path) if path.qself.is_none() => match path.path.segments.last() {
            Some(last) => match (last.ident.to_string().as_str(), first_type(&last.arguments)) {
                ("Option", Some(inner)) => return check(inner),
                ("Vec" | "List", Some(inner)) => return element(inner),
                ("VecDeque" | "HashMap" | "BTreeMap" | "HashSet" | "BTreeSet" | "Value", _) => Some(json),
                ("usize" | "isize", _) => Some("the width of a field is fixed: write `u64` or `i64`"),
                ("i128" | "u128", _) => Some("write an integer of 64 bits, or `Decimal<38, 0>`"),
                ("char", _) => Some("write `&str`"),
                (
                    "bool" | "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "f32" | "f64" | "String"
                    | "Cow" | "Timestamp" | "Date" | "Decimal",
                    _,
                ) => None,
                _ => Some(TYPES),
            },
            None => Some(TYPES),
        },
        _ => Some(TYPES),
    };
    wrong.map_or(Ok(()), |wrong| Err(Error::new(ty.span(), wrong)))
}

const TYPES: &str = "no type of a field: write `bool`, an integer up to 64 bits, `f32`, `f64`, `Timestamp`, `Date`, \
    `Decimal<18, 4>`, `&str`, `String`, `&[u8]`, `Vec<u8>`, a `Vec` of these, or an `Option` of one; a struct with \
    `#[derive(Record)]` has `#[record(nested)]` before it; for any other value, write `&str` with `#[record(json)]`";

/// Checks the type of the elements of a list.
fn element(ty: &Type) -> Result<()> {
    let is_nested = match ty {
        Type::Reference(reference) => matches!(&*reference.elem, Type::Slice(slice) if !is_byte(&slice.elem)),
        Type::Path(path) => path.path.segments.last().is_some_and(|last| {
            let bytes = last.ident == "Vec" && first_type(&last.arguments).is_some_and(is_byte);
            last.ident == "List" || last.ident == "Vec" && !bytes
        }),
        _ => false,
    };
    if is_nested {
        let message = "a list is one level deep: for a list of lists, write `&str` with `#[record(json)]`, the text of \
            the JSON value";
        return Err(Error::new(ty.span(), message));
    }
    check(ty).map_err(|_| {
        let message = "the elements of a list are numbers, text or bytes, or an `Option` of these: for a list of other values, \
            write `&str` with `#[record(json)]`, the text of the JSON value";
        Error::new(ty.span(), message)
    })
}

fn is_byte(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.is_ident("u8"))
}

/// Returns the first type among the parameters of a type.
fn first_type(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}
