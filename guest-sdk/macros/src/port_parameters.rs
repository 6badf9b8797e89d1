//! The outputs of a process or source by field, which are parameters: the first is the main output, and the others are
//! side outputs of the parameters' names.

use proc_macro2::{Ident, Span};
use quote::format_ident;
use syn::spanned::Spanned;
use syn::{Error, FnArg, GenericArgument, Pat, PathArguments, Result, Type};

use crate::kind::Kind;
use crate::lifetimes::anonymous;

/// An output.
pub(crate) struct PortParameter {
    /// Name of the parameter.
    pub(crate) parameter: Ident,
    /// Name of the side output: the parameter's name, with `-` for `_`.
    pub(crate) name: String,
    /// Type of the records, without names of lifetimes.
    pub(crate) record: Type,
}

/// Returns the outputs at the beginning of these parameters.
pub(crate) fn ports<'f>(parameters: impl Iterator<Item = &'f FnArg>) -> Result<Vec<PortParameter>> {
    let typed = parameters.filter_map(|parameter| match parameter {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    let mut ports: Vec<PortParameter> = Vec::new();
    for typed in typed {
        let Some(record) = record_of(&typed.ty) else { break };
        let Pat::Ident(pattern) = &*typed.pat else {
            return Err(Error::new(typed.pat.span(), "name the output: the name of a side output is its parameter's"));
        };
        let parameter = pattern.ident.clone();
        let name = parameter.to_string().trim_start_matches('_').replace('_', "-");
        check_name(&name, parameter.span(), &ports)?;
        ports.push(PortParameter { parameter, name, record });
    }
    Ok(ports)
}

/// Returns the record of `&mut Port<Record>`.
pub(crate) fn record_of(ty: &Type) -> Option<Type> {
    let Type::Reference(reference) = ty else { return None };
    let Type::Path(path) = &*reference.elem else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Port" && reference.mutability.is_some())?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(anonymous(ty)),
        _ => None,
    })
}

fn check_name(name: &str, span: Span, before: &[PortParameter]) -> Result<()> {
    // The main output has no name.
    if before.is_empty() {
        return Ok(());
    }
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || !name.bytes().all(letters) {
        let message = "the name of a side output is its parameter's: lower-case letters, digits and `_`";
        return Err(Error::new(span, message));
    }
    if name == "rejects" {
        return Err(Error::new(
            span,
            "every operator has a port `rejects`, for the records that it rejects; choose another name",
        ));
    }
    if before.iter().skip(1).any(|other| other.name == name) {
        return Err(Error::new(span, format!("two side outputs are named {name:?}")));
    }
    Ok(())
}

/// Returns the name by which the generated code passes output `at` on.
pub(crate) fn passed(at: usize) -> Ident {
    format_ident!("__port{}", at)
}

/// Returns the indexes of the outputs that `end` takes, by name.
pub(crate) fn taken_at_the_end<'f>(
    parameters: impl Iterator<Item = &'f FnArg>,
    ports: &[PortParameter],
) -> Result<Vec<usize>> {
    const WRITE: &str = "`end` emits the last records: it takes any outputs of `process`, under the same names, as in `fn \
        end(&mut self, out: &mut Port<Out>) -> Result<(), Error>`";
    let mut taken = Vec::new();
    for parameter in parameters {
        let FnArg::Typed(typed) = parameter else { continue };
        let name = match &*typed.pat {
            Pat::Ident(pattern) => pattern.ident.to_string().trim_start_matches('_').to_owned(),
            _ => String::new(),
        };
        let same = |port: &PortParameter| port.parameter.to_string().trim_start_matches('_') == name;
        match (record_of(&typed.ty), ports.iter().position(same)) {
            (Some(_), Some(at)) if !taken.contains(&at) => taken.push(at),
            _ => return Err(Error::new(typed.span(), WRITE)),
        }
    }
    Ok(taken)
}

/// Reports `ports = [..]` in the attribute of an operator by field.
pub(crate) fn named_twice(kind: Kind, span: Span) -> Error {
    let message = format!(
        "the side outputs of a `{}` by field are its parameters: write `late: &mut Port<Late>` behind the main output, and \
         no `ports`",
        kind.attribute()
    );
    Error::new(span, message)
}
