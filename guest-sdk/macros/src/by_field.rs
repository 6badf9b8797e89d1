//! Operators that take records by field. An attribute sees no traits, and the world of a component is fixed when the
//! attribute is expanded, so the *name* of the record's type decides: every type that is read from a payload has a
//! fixed name (`&str`, `Json<..>`, a number), and any other named type is a record. If it is none, the trait's message
//! tells what to write: a derive, or the word `payload` in the attribute for a type with a `FromPayload` of its own.

use syn::spanned::Spanned;
use syn::{Error, GenericArgument, PathArguments, Result, ReturnType, Signature, Type, TypeParamBound};

use crate::kind::Kind;
use crate::lifetimes::anonymous;
use crate::signature::ok_type;

/// Returns whether an operator of this kind takes a record of this type by field.
pub(crate) fn is_record(kind: Kind, ty: &Type) -> bool {
    const PAYLOADS: [&str; 23] = [
        "String", "Vec", "Json", "Box", "Cow", "Rc", "Arc", "bool", "char", "str", "i8", "i16", "i32", "i64", "i128",
        "isize", "u8", "u16", "u32", "u64", "u128", "usize", "f32",
    ];
    let Type::Path(path) = ty else { return false };
    let Some(last) = path.path.segments.last() else { return false };
    kind.reads_fields()
        && last.ident != "f64"
        && last.ident != "Record"
        && PAYLOADS.iter().all(|name| last.ident != name)
}

/// Returns the parameter of `Record<..>`, the record with its key, event time and headers. `Record` alone is bytes.
pub(crate) fn in_record(ty: &Type) -> Option<Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Record")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    })
}

/// Returns the type of the records that the operator gives: the type in the return type of a map, or of the items that
/// a flat-map gives.
pub(crate) fn given(kind: Kind, signature: &Signature) -> Result<Option<Type>> {
    let ReturnType::Type(_, ty) = &signature.output else { return Ok(None) };
    let ok = match ok_type(ty) {
        Some(ok) if !std::ptr::eq(ok, &**ty) => ok,
        Some(alias) if matches!(kind, Kind::Map | Kind::FlatMap) => {
            let message = "the record is not visible here, and its fields become a part of the component: write \
                `Result<Out, Error>`";
            return Err(Error::new(alias.span(), message));
        }
        _ => ty,
    };
    match kind {
        Kind::Map => Ok(Some(anonymous(ok))),
        Kind::FlatMap => match item(ok) {
            Some(item) => Ok(Some(anonymous(item))),
            None => Err(Error::new(
                ok.span(),
                "the record is not visible here, and its fields become a part of the component: write `-> impl \
                    Iterator<Item = Out>`, `-> Vec<Out>` or `-> Option<Out>`, or either in a `Result<_, Error>`",
            )),
        },
        _ => Ok(None),
    }
}

/// Returns the type of the items of `impl Iterator<Item = T>`, `Box<dyn Iterator<Item = T>>`, `[T; N]`, or of a type
/// with one parameter, such as `Vec<T>`.
fn item(ty: &Type) -> Option<&Type> {
    match ty {
        Type::Array(array) => Some(&array.elem),
        Type::ImplTrait(many) => bounds(many.bounds.iter()),
        Type::TraitObject(many) => bounds(many.bounds.iter()),
        Type::Path(path) => {
            let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else { return None };
            let mut types = arguments.args.iter().filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            });
            match types.next()? {
                inner @ Type::TraitObject(_) => item(inner),
                inner => Some(inner),
            }
        }
        _ => None,
    }
}

fn bounds<'t>(mut bounds: impl Iterator<Item = &'t TypeParamBound>) -> Option<&'t Type> {
    bounds.find_map(|bound| match bound {
        TypeParamBound::Trait(bound) => match &bound.path.segments.last()?.arguments {
            PathArguments::AngleBracketed(arguments) => arguments.args.iter().find_map(|argument| match argument {
                GenericArgument::AssocType(item) if item.ident == "Item" => Some(&item.ty),
                _ => None,
            }),
            _ => None,
        },
        _ => None,
    })
}
