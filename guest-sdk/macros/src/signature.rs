use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{Error, FnArg, GenericArgument, PathArguments, Result, ReturnType, Signature, Type};

use crate::by_field;
use crate::kind::Kind;
use crate::lifetimes::anonymous;
use crate::port_parameters::{PortParameter, ports};

/// The facts about the user's function or method that the generated code needs.
pub(crate) struct Checked {
    /// Type of the record parameter, without names of lifetimes.
    pub(crate) record: Option<Type>,
    /// Type of the configuration parameter, without the reference.
    pub(crate) config: Option<Type>,
    /// Whether the record is changed in place (`&mut [u8]`). There is then no payload to decode and no result
    /// to write.
    pub(crate) in_place: bool,
    /// Whether the function returns a `Result`.
    pub(crate) fallible: bool,
    /// The types of a record that is read by field.
    pub(crate) by_field: Option<ByField>,
    /// Span of the result type: the type in the `Result`, or the whole return type.
    pub(crate) answer: Span,
}

/// The facts about an operator whose records are by field.
#[derive(Default)]
pub(crate) struct ByField {
    /// Type of the records that it gives, without names of lifetimes; `None` for a filter.
    pub(crate) given: Option<Type>,
    /// process and source: the outputs.
    pub(crate) ports: Vec<PortParameter>,
    /// Whether the operator takes the record with its key, event time and headers.
    pub(crate) with_key: bool,
}

/// Checks the function or method of a kind, as far as syntax allows. With `payload`, the record is a payload, whatever
/// the name of its type is.
pub(crate) fn check(kind: Kind, signature: &Signature, method: bool, payload: bool) -> Result<Checked> {
    let write = if method { kind.write_method() } else { kind.write_function() };
    plain(kind, signature, &write)?;

    let mut parameters = signature.inputs.iter();
    if method {
        receiver(signature, &write)?;
        parameters.next();
    }
    let typed: Vec<&Type> = parameters
        .filter_map(|parameter| match parameter {
            FnArg::Typed(typed) => Some(&*typed.ty),
            FnArg::Receiver(_) => None,
        })
        .collect();
    let mut typed = typed.into_iter();

    let (mut record, mut in_place) = (None, false);
    if kind.takes_record() {
        let ty = typed.next().ok_or_else(|| {
            Error::new(signature.span(), format!("a `{}` operator takes a record: {write}", kind.attribute()))
        })?;
        in_place = changed(kind, ty)?;
        record = Some(record_type(kind, ty)?);
    }
    let mut outputs = Vec::new();
    if kind.emits() {
        let taken = usize::from(method) + usize::from(kind.takes_record());
        outputs = ports(signature.inputs.iter().skip(taken))?;
        match outputs.len() {
            0 => emitter(kind, signature, typed.next(), &write)?,
            ports => {
                typed.nth(ports - 1);
            }
        }
    }
    let mut config = None;
    if let Some(ty) = typed.next() {
        if method {
            return Err(Error::new(
                ty.span(),
                format!("too many parameters: {write}; configuration is read in `open`, with `context.config()?`"),
            ));
        }
        config = Some(config_type(ty)?);
    }
    if let Some(ty) = typed.next() {
        return Err(Error::new(ty.span(), format!("too many parameters: {write}")));
    }
    let inner = record.as_ref().and_then(by_field::in_record);
    let with_key = inner.is_some();
    let by_field = match inner.as_ref().or(record.as_ref()) {
        _ if !outputs.is_empty() => Some(ByField { ports: outputs, with_key, ..ByField::default() }),
        Some(ty) if !payload && by_field::is_record(kind, ty) => {
            Some(ByField { given: by_field::given(kind, signature)?, with_key, ..ByField::default() })
        }
        _ => None,
    };
    if by_field.is_some() {
        record = inner.or(record);
    }
    let fallible = if in_place { nothing(signature, method)? } else { answer(kind, signature, &write)? };
    let answer = match &signature.output {
        ReturnType::Type(_, ty) => ok_type(ty).unwrap_or(ty).span(),
        ReturnType::Default => signature.ident.span(),
    };
    Ok(Checked { record, in_place, by_field, config, fallible, answer })
}

/// The signature to write for a whole batch, for messages.
pub(crate) const WRITE_WHOLE: &str = "`fn process_batch(&mut self, records: Records<In>) -> Result<(), Error>`";

/// The same for records by field.
pub(crate) const WRITE_WHOLE_BY_FIELD: &str =
    "`fn process_batch(&mut self, records: Batch<In>, out: &mut Port<Out>) -> Result<(), Error>`";

/// Checks `process_batch`, as far as syntax allows. The record type is the parameter of `Records`, or of
/// `Batch` if there are outputs by field.
pub(crate) fn check_whole(signature: &Signature) -> Result<Checked> {
    let write = format!("write {WRITE_WHOLE}");
    plain(Kind::Process, signature, &write)?;
    match signature.inputs.first() {
        Some(FnArg::Receiver(receiver)) if receiver.reference.is_some() => {}
        _ => {
            return Err(Error::new(
                signature.ident.span(),
                format!("`process_batch` is called once a batch and must take `&mut self`: {write}"),
            ));
        }
    }
    let Some(FnArg::Typed(records)) = signature.inputs.iter().nth(1) else {
        return Err(Error::new(signature.span(), format!("`process_batch` takes the records of a batch: {write}")));
    };
    let outputs = ports(signature.inputs.iter().skip(2))?;
    let by_field = !outputs.is_empty();
    if let Some(more) = signature.inputs.iter().nth(2 + outputs.len()) {
        let message = if by_field {
            format!("too many parameters: write {WRITE_WHOLE_BY_FIELD}")
        } else {
            format!("too many parameters: {write}; `records.each(answers, |record, answer, out| ..)` gives the emitter")
        };
        return Err(Error::new(more.span(), message));
    }
    let record = records_of(&records.ty, if by_field { "Batch" } else { "Records" }).ok_or_else(|| {
        let named = |name: &str| {
            matches!(&*records.ty, Type::Path(path)
            if path.path.segments.last().is_some_and(|last| last.ident == name))
        };
        let write = if by_field || named("Batch") { format!("write {WRITE_WHOLE_BY_FIELD}") } else { write.clone() };
        Error::new(records.ty.span(), format!("this parameter is the records of a batch, by value: {write}"))
    })?;
    let record = if by_field { anonymous(&record) } else { record_type(Kind::Process, &record)? };
    Ok(Checked {
        record: Some(record),
        in_place: false,
        by_field: by_field.then(|| ByField { ports: outputs, ..ByField::default() }),
        config: None,
        fallible: answer(Kind::Process, signature, &write)?,
        answer: signature.ident.span(),
    })
}

/// Returns the parameter of `Records<..>` or another type of this name, or `&[u8]` if there is none.
fn records_of(ty: &Type, name: &str) -> Option<Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == name)?;
    let named = match &last.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty.clone()),
            _ => None,
        }),
        _ => None,
    };
    Some(named.unwrap_or_else(|| syn::parse_quote_spanned!(last.span()=> &[u8])))
}

/// Rejects properties that only a caller in Rust could satisfy.
fn plain(kind: Kind, signature: &Signature, write: &str) -> Result<()> {
    let refused = if let Some(token) = &signature.asyncness {
        Some((token.span(), "be `async`: a call answers before it returns"))
    } else if let Some(token) = &signature.unsafety {
        Some((token.span(), "be `unsafe`: the host calls it with any record"))
    } else if let Some(parameter) = signature.generics.type_params().next() {
        Some((parameter.span(), "be generic: the host cannot choose a type"))
    } else {
        signature
            .generics
            .const_params()
            .next()
            .map(|parameter| (parameter.span(), "be generic: the host cannot choose a value"))
    };
    match refused {
        Some((span, why)) => Err(Error::new(span, format!("a `{}` operator cannot {why}; {write}", kind.attribute()))),
        None => Ok(()),
    }
}

fn receiver(signature: &Signature, write: &str) -> Result<()> {
    match signature.inputs.first() {
        Some(FnArg::Receiver(receiver)) if receiver.reference.is_some() => Ok(()),
        _ => Err(Error::new(
            signature.ident.span(),
            format!("`{}` is called once a record and must take `&mut self` (or `&self`): {write}", signature.ident),
        )),
    }
}

fn record_type(kind: Kind, ty: &Type) -> Result<Type> {
    match ty {
        Type::ImplTrait(_) => Err(Error::new(
            ty.span(),
            "name the record's type: `impl Trait` leaves open how its bytes are read; write `&[u8]`, `&str`, \
                `String`, a number or `Json<T>`",
        )),
        Type::Path(path) if path.path.is_ident("str") => Err(Error::new(ty.span(), "write `&str`")),
        Type::Slice(_) => Err(Error::new(ty.span(), "write a reference: `&[u8]`")),
        Type::Path(path)
            if !kind_takes_metadata(kind) && path.path.segments.last().is_some_and(|last| last.ident == "Record") =>
        {
            Err(Error::new(
                ty.span(),
                format!(
                    "a `{}` operator sees payloads only: key, timestamp and headers stay in the host; write the \
                        payload's type, or use `process` to see them",
                    kind.attribute()
                ),
            ))
        }
        _ => Ok(anonymous(ty)),
    }
}

/// Returns whether the parameter is the record's own bytes, to be changed in place.
fn changed(kind: Kind, ty: &Type) -> Result<bool> {
    let Type::Reference(reference) = ty else { return Ok(false) };
    if reference.mutability.is_none() {
        return Ok(false);
    }
    if kind != Kind::Map {
        return Err(Error::new(
            ty.span(),
            format!(
                "a `{}` only reads its record: write `&[u8]`, or another payload; a `map` may change one in place, \
                    with `&mut [u8]`",
                kind.attribute()
            ),
        ));
    }
    match &*reference.elem {
        Type::Slice(slice) if matches!(&*slice.elem, Type::Path(path) if path.path.is_ident("u8")) => Ok(true),
        _ => Err(Error::new(
            ty.span(),
            "a record that is changed in place is bytes: write `&mut [u8]`; or take and give a payload, as in `fn \
                name(record: In) -> Out`",
        )),
    }
}

/// Checks that a `map` that changes its record in place returns nothing except an error. Returns whether it may
/// return an error.
fn nothing(signature: &Signature, method: bool) -> Result<bool> {
    let ReturnType::Type(_, ty) = &signature.output else { return Ok(false) };
    match ok_type(ty) {
        // An alias whose argument is not visible: the compiler checks it.
        Some(ok) if std::ptr::eq(ok, &**ty) => Ok(true),
        Some(Type::Tuple(tuple)) if tuple.elems.is_empty() => Ok(true),
        given => {
            let write = if method { "fn map(&mut self, record: &mut [u8])" } else { "fn name(record: &mut [u8])" };
            Err(Error::new(
                given.unwrap_or(ty).span(),
                format!(
                    "with `&mut [u8]` a `map` changes its record in place and gives nothing: write `{write}` or \
                        `{write} -> Result<(), Error>`; to give something, take the record as `&[u8]`"
                ),
            ))
        }
    }
}

fn kind_takes_metadata(kind: Kind) -> bool {
    matches!(kind, Kind::Process | Kind::Sink)
}

fn emitter(kind: Kind, signature: &Signature, ty: Option<&Type>, write: &str) -> Result<()> {
    let Some(ty) = ty else {
        return Err(Error::new(
            signature.span(),
            format!("a `{}` operator takes an emitter for its records: {write}", kind.attribute()),
        ));
    };
    match ty {
        Type::Reference(reference)
            if reference.mutability.is_some()
                && matches!(&*reference.elem, Type::Path(path)
                    if path.path.segments.last().is_some_and(|last| last.ident == "Emitter")) =>
        {
            Ok(())
        }
        _ => Err(Error::new(
            ty.span(),
            format!(
                "this parameter must be the emitter, `out: &mut Emitter`, or an output by field, `out: &mut Port<Out>`: \
                 {write}"
            ),
        )),
    }
}

fn config_type(ty: &Type) -> Result<Type> {
    match ty {
        Type::Reference(reference) if reference.mutability.is_none() => Ok(anonymous(&reference.elem)),
        _ => Err(Error::new(
            ty.span(),
            "the last parameter is the configuration, read once when the operator opens: take it by reference, as \
                in `config: &Settings` where `Settings: serde::Deserialize`",
        )),
    }
}

fn answer(kind: Kind, signature: &Signature, write: &str) -> Result<bool> {
    let ReturnType::Type(_, ty) = &signature.output else {
        if kind.answers() {
            return Err(Error::new(
                signature.span(),
                match kind {
                    Kind::Map => format!(
                        "a `map` operator must give something back: {write}; to change the record in place, take it \
                            as `&mut [u8]`"
                    ),
                    _ => format!("a `{}` operator must give something back: {write}", kind.attribute()),
                },
            ));
        }
        return Ok(false);
    };
    let given = match ok_type(ty) {
        Some(ok) => ok,
        None => ty,
    };
    if let Type::Path(path) = given {
        let last = path.path.segments.last().map(|last| last.ident.to_string());
        match (kind, last.as_deref()) {
            (Kind::Map, Some("Option")) => {
                return Err(Error::new(
                    given.span(),
                    "a `map` gives exactly one record for each: give `Result<Out, Error>` to reject some, put a \
                        `filter` beside it, or make it a `flat_map`, which may give an `Option`",
                ));
            }
            (
                Kind::FlatMap,
                Some("String" | "str" | "bool" | "Json" | "u64" | "i64" | "u32" | "i32" | "f64" | "f32" | "usize"),
            ) => {
                return Err(not_many(given));
            }
            _ => {}
        }
    }
    if kind == Kind::FlatMap
        && let Type::Reference(reference) = given
        && matches!(&*reference.elem, Type::Path(path) if path.path.is_ident("str"))
    {
        return Err(not_many(given));
    }
    Ok(ok_type(ty).is_some())
}

fn not_many(given: &Type) -> Error {
    Error::new(
        given.span(),
        "a `flat_map` gives any number of records: write `-> impl Iterator<Item = Out>`, `-> Vec<Out>`, or either \
            in a `Result<_, Error>`",
    )
}

/// Returns the first type argument of a `Result`, or the type itself if it is a `Result` without arguments.
pub(crate) fn ok_type(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    if last.ident != "Result" {
        return None;
    }
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return Some(ty);
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// Returns whether a method returns a `Result`.
pub(crate) fn fallible(signature: &Signature) -> bool {
    match &signature.output {
        ReturnType::Type(_, ty) => ok_type(ty).is_some(),
        ReturnType::Default => false,
    }
}
