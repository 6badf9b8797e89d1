use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Field, GenericArgument, LitStr, PathArguments, Result, Type};

/// The attributes of a record.
#[derive(Default)]
pub(crate) struct OfStruct {
    /// Whether an output also has the other fields of its input.
    pub(crate) extends: bool,
}

/// The attributes of a field of a record.
#[derive(Default)]
pub(crate) struct OfField {
    /// Name of the field in the data.
    pub(crate) rename: Option<LitStr>,
    /// Whether the text is that of a JSON value.
    pub(crate) json: bool,
    /// Whether the type is a record, whose fields are the members of a struct.
    pub(crate) nested: bool,
}

impl OfStruct {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut read = Self::default();
        each(attributes, |meta| {
            if !meta.path.is_ident("extends") {
                return Err(meta.error(
                    "a record has the attribute `#[record(extends)]`: an output with it also has the \
                    other fields of its input",
                ));
            }
            read.extends = true;
            Ok(())
        })?;
        Ok(read)
    }
}

impl OfField {
    pub(crate) fn read(field: &Field) -> Result<Self> {
        let mut read = Self::default();
        each(&field.attrs, |meta| {
            if meta.path.is_ident("rename") {
                read.rename = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("json") {
                if !is_text(&field.ty) {
                    let message = "`#[record(json)]` passes the text of a JSON value: write `&str`, `String`, or an \
                        `Option` of one";
                    return Err(Error::new(field.ty.span(), message));
                }
                read.json = true;
            } else if meta.path.is_ident("nested") {
                if !may_be_record(&field.ty) {
                    let message = "`#[record(nested)]` is for a struct with `#[derive(Record)]`, or an `Option` of one: its \
                        fields become the members of a struct";
                    return Err(Error::new(field.ty.span(), message));
                }
                read.nested = true;
            } else {
                return Err(meta.error(
                    "a field has the attributes `#[record(rename = \"Name in the data\")]`, `#[record(json)]` and \
                    `#[record(nested)]`",
                ));
            }
            Ok(())
        })?;
        Ok(read)
    }
}

fn each(attributes: &[Attribute], mut read: impl FnMut(&ParseNestedMeta<'_>) -> Result<()>) -> Result<()> {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("record")) {
        attribute.parse_nested_meta(|meta| read(&meta))?;
    }
    Ok(())
}

/// Returns whether a type may be a record, or an `Option` of one.
fn may_be_record(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let Some(last) = path.path.segments.last() else { return false };
    match (last.ident == "Option", &last.arguments) {
        (true, PathArguments::AngleBracketed(arguments)) => arguments.args.iter().any(|argument| match argument {
            GenericArgument::Type(ty) => may_be_record(ty),
            _ => false,
        }),
        _ => !matches!(crate::field_types::check(ty), Ok(())) && last.ident != "Vec" && last.ident != "List",
    }
}

/// Returns whether a type is text, or an `Option` of text.
fn is_text(ty: &Type) -> bool {
    match ty {
        Type::Reference(reference) => matches!(&*reference.elem, Type::Path(path) if path.path.is_ident("str")),
        Type::Path(path) => path.path.segments.last().is_some_and(|last| match &last.arguments {
            PathArguments::AngleBracketed(arguments) if last.ident == "Option" || last.ident == "Cow" => {
                arguments.args.iter().any(|argument| match argument {
                    GenericArgument::Type(ty) => is_text(ty),
                    _ => false,
                })
            }
            _ => last.ident == "String" || last.ident == "str",
        }),
        _ => false,
    }
}
