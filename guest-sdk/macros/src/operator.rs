use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, FnArg, ImplItem, ImplItemFn, Item, ItemFn, ItemImpl, Result, Type};

use crate::arguments::Arguments;
use crate::docs::docs;
use crate::kind::Kind;
use crate::port_parameters::{named_twice, passed, taken_at_the_end};
use crate::ports::Ports;
use crate::signature::{ByField, Checked, WRITE_WHOLE, check, check_whole, fallible};

/// An operator in the form that the traits need, from a function or from an `impl` block.
pub(crate) struct Operator {
    pub(crate) kind: Kind,
    /// The type for which the trait is implemented.
    pub(crate) ty: Type,
    /// Code in front of the trait implementation: the user's own code, and the type of a function.
    pub(crate) definition: TokenStream,
    /// Code that makes a `Self` from `context` (and from `tables` in a `process`), inside a function that
    /// returns `Result<Self, Error>`.
    pub(crate) open: TokenStream,
    /// Call of the user's code with `record` and `out`, as the kind requires, or with `records`.
    pub(crate) call: TokenStream,
    /// Whether the user's code is a function, whose answer does not borrow from the operator mutably.
    pub(crate) is_function: bool,
    /// Whether the call takes the whole batch (`records`).
    pub(crate) whole: bool,
    pub(crate) checked: Checked,
    /// Calls of the user's `close(self)`, `end`, `flush`, `position` and `seek`, if they exist.
    pub(crate) hooks: Hooks,
    pub(crate) ports: Ports,
    pub(crate) described: Described,
}

/// The description of the operator.
pub(crate) struct Described {
    pub(crate) docs: String,
    /// Whether the operator keeps keyed state.
    pub(crate) stateful: bool,
    pub(crate) config: Config,
}

/// The known facts about the operator's configuration.
pub(crate) enum Config {
    /// The operator reads no configuration.
    None,
    /// A type that may implement `Describe`.
    Maybe(Type),
    /// A type that must implement `Describe`.
    Described(Type),
    /// `open` may read any configuration.
    Unknown,
}

/// Calls of the optional methods of a kind.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) close: Option<TokenStream>,
    pub(crate) end: Option<TokenStream>,
    pub(crate) flush: Option<TokenStream>,
    /// `position` and `seek`, always both or neither.
    pub(crate) replay: Option<Replay>,
    /// process by field: the indexes of the outputs that `end` takes.
    pub(crate) last_ports: Vec<usize>,
}

/// Calls by which a source returns its position and goes back to it.
pub(crate) struct Replay {
    pub(crate) position: TokenStream,
    pub(crate) seek: TokenStream,
    pub(crate) position_type: Type,
}

/// Reads the item under the attribute.
pub(crate) fn read(kind: Kind, arguments: Arguments, item: Item) -> Result<Operator> {
    match item {
        Item::Fn(function) => of_function(kind, arguments, &function),
        Item::Impl(block) => of_impl(kind, arguments, &block),
        other => Err(Error::new(
            other.span(),
            format!(
                "`#[sage_guest::{}]` goes on a function or on an `impl` block: {}",
                kind.attribute(),
                if kind == Kind::Source {
                    kind.write_function()
                } else {
                    format!("{}, or `impl Name {{ .. }}` with a method; {}", kind.write_function(), kind.write_method())
                }
            ),
        )),
    }
}

fn of_function(kind: Kind, arguments: Arguments, function: &ItemFn) -> Result<Operator> {
    let Arguments { ports, config, stateless: _, payload } = arguments;
    if let Some(config) = config {
        return Err(Error::new(
            config.span(),
            "a function takes its configuration as its last parameter, `config: &Config`",
        ));
    }
    if kind == Kind::Source {
        return Err(Error::new(
            function.sig.span(),
            format!("a source remembers its position, so it is a struct: {}", kind.write_function()),
        ));
    }
    let checked = check(kind, &function.sig, false, payload.is_some())?;
    let name = &function.sig.ident;
    let vis = &function.vis;
    let span = name.span();

    let (field, open, config) = match &checked.config {
        Some(ty) => (
            quote!(config: #ty),
            quote_spanned!(ty.span()=> Self { config: ::sage_guest::Context::config::<#ty>(context)? }),
            Some(quote!(&self.config)),
        ),
        None => (quote!(open: ()), quote!(Self { open: () }), None),
    };
    let arguments = at_hand(kind, &checked).into_iter().chain(config);
    refuse_ports(kind, &checked, &ports)?;
    let what = format!("The type of the operator [`{name}`](fn@{name}), for `sage_guest::testing`.");
    Ok(Operator {
        kind,
        ty: syn::parse_quote_spanned!(span=> #name),
        definition: quote! {
            #function

            #[doc = #what]
            #[allow(non_camel_case_types, dead_code)]
            #vis struct #name { #field }
        },
        open,
        call: quote!(#name(#(#arguments),*)),
        is_function: true,
        whole: false,
        described: Described {
            docs: docs(&function.attrs),
            // A function has no tables in which to keep state.
            stateful: false,
            config: checked.config.clone().map_or(Config::None, Config::Maybe),
        },
        checked,
        hooks: Hooks::default(),
        ports,
    })
}

/// The arguments that the generated method can pass on.
fn at_hand(kind: Kind, checked: &Checked) -> Vec<TokenStream> {
    let mut arguments = Vec::new();
    if kind.takes_record() {
        arguments.push(quote!(record));
    }
    match &checked.by_field {
        Some(by_field) => arguments.extend((0..by_field.ports.len()).map(passed).map(|port| quote!(#port))),
        None if kind.emits() => arguments.push(quote!(out)),
        None => {}
    }
    arguments
}

/// Reports side outputs that are named in the attribute and are parameters too.
fn refuse_ports(kind: Kind, checked: &Checked, ports: &Ports) -> Result<()> {
    let by_field = checked.by_field.as_ref().is_some_and(|by_field| !by_field.ports.is_empty());
    match ports.span().filter(|_| by_field) {
        Some(span) => Err(named_twice(kind, span)),
        None => Ok(()),
    }
}

fn of_impl(kind: Kind, arguments: Arguments, block: &ItemImpl) -> Result<Operator> {
    if let Some((_, path, _)) = &block.trait_ {
        return Err(Error::new(
            path.span(),
            format!(
                "`#[sage_guest::{}]` goes on a plain `impl Name {{ .. }}`, not on that of a trait",
                kind.attribute()
            ),
        ));
    }
    if let Some(parameter) = block.generics.type_params().next() {
        return Err(Error::new(
            parameter.span(),
            "an operator cannot be generic: name the type, as in `impl Window<u64>`",
        ));
    }
    let find = |name: &str| {
        block.items.iter().find_map(|item| match item {
            ImplItem::Fn(method) if method.sig.ident == name => Some(method),
            _ => None,
        })
    };

    let whole = if kind == Kind::Process { find("process_batch") } else { None };
    let (call, checked) = match (find(kind.method()), whole) {
        (Some(method), None) => {
            let name = &method.sig.ident;
            let checked = check(kind, &method.sig, true, arguments.payload.is_some())?;
            refuse_ports(kind, &checked, &arguments.ports)?;
            let at_hand = at_hand(kind, &checked);
            (quote!(Self::#name(self, #(#at_hand),*)), checked)
        }
        (None, Some(whole)) => {
            let checked = check_whole(&whole.sig)?;
            refuse_ports(kind, &checked, &arguments.ports)?;
            let outputs = checked.by_field.as_ref().map_or(0, |by_field| by_field.ports.len());
            let outputs = (0..outputs).map(passed);
            (quote!(Self::process_batch(self, records, #(#outputs),*)), checked)
        }
        (Some(_), Some(whole)) => {
            return Err(Error::new(
                whole.sig.ident.span(),
                "a record is processed once: write `process` or `process_batch`, not both",
            ));
        }
        (None, None) => {
            let (name, write) = (kind.method(), kind.write_method());
            let batch = if kind == Kind::Process {
                format!(", or {WRITE_WHOLE} to see the whole batch")
            } else {
                String::new()
            };
            return Err(Error::new(block.self_ty.span(), format!("this `impl` has no `{name}`: {write}{batch}")));
        }
    };
    let ty = (*block.self_ty).clone();

    let mut last_ports = Vec::new();
    let hooks = Hooks {
        close: find("close").map(close_call).transpose()?,
        end: match (kind, find("end")) {
            (Kind::Process, Some(end)) => Some(match checked.by_field.as_ref() {
                Some(by_field) => end_by_field(end, by_field, &mut last_ports)?,
                None => end_call(end)?,
            }),
            _ => None,
        },
        flush: match (kind, find("flush")) {
            (Kind::Sink, Some(flush)) => Some(flush_call(flush)?),
            _ => None,
        },
        replay: match kind {
            Kind::Source => replay(find("position"), find("seek"))?,
            _ => None,
        },
        last_ports,
    };
    let open = find("open");
    let Arguments { ports, config, stateless, payload: _ } = arguments;
    if let (Some(word), Some(tables)) = (&stateless, open.and_then(|open| open.sig.inputs.iter().nth(1))) {
        let mut error = Error::new(word.span(), "a `stateless` operator has no tables, but its `open` takes them");
        error.combine(Error::new(tables.span(), "remove this parameter, or remove `stateless`"));
        return Err(error);
    }
    let described = Described {
        docs: docs(&block.attrs),
        stateful: kind == Kind::Process && stateless.is_none(),
        config: match config {
            Some(ty) => Config::Described(ty),
            None if open.is_none() => Config::None,
            None => Config::Unknown,
        },
    };
    Ok(Operator {
        kind,
        definition: quote!(#block),
        open: open_call(kind, &ty, open)?,
        call,
        is_function: false,
        whole: whole.is_some(),
        ty,
        checked,
        hooks,
        ports,
        described,
    })
}

pub(crate) fn open_call(kind: Kind, ty: &Type, open: Option<&ImplItemFn>) -> Result<TokenStream> {
    let Some(open) = open else {
        return Ok(quote_spanned!(ty.span()=> <Self as ::sage_guest::__private::Begin>::begin()));
    };
    let most = if kind == Kind::Process { 2 } else { 1 };
    let receives = open.sig.inputs.iter().any(|input| matches!(input, FnArg::Receiver(_)));
    let parameters = open.sig.inputs.len();
    if receives || parameters == 0 || parameters > most {
        let write = match kind {
            Kind::Process => {
                "`fn open(context: &Context) -> Result<Self, Error>`, or `fn open(context: &Context, tables: &mut \
                    Tables) -> Result<Self, Error>` to keep state"
            }
            _ => "`fn open(context: &Context) -> Result<Self, Error>`",
        };
        return Err(Error::new(open.sig.span(), format!("`open` makes the operator: write {write}")));
    }
    let tables = (parameters == 2).then(|| quote!(, tables));
    let call = quote_spanned!(open.sig.span()=> Self::open(context #tables));
    Ok(tried(call, fallible(&open.sig)))
}

pub(crate) fn close_call(close: &ImplItemFn) -> Result<TokenStream> {
    let owned = matches!(close.sig.inputs.first(), Some(FnArg::Receiver(receiver)) if receiver.reference.is_none());
    if !owned || close.sig.inputs.len() != 1 || fallible(&close.sig) {
        return Err(Error::new(close.sig.span(), "`close` ends the operator and cannot fail: write `fn close(self)`"));
    }
    Ok(quote!(Self::close(self)))
}

fn end_call(end: &ImplItemFn) -> Result<TokenStream> {
    let borrowed = matches!(end.sig.inputs.first(), Some(FnArg::Receiver(receiver)) if receiver.reference.is_some());
    if !borrowed || end.sig.inputs.len() != 2 {
        return Err(Error::new(
            end.sig.span(),
            "`end` emits the last records: write `fn end(&mut self, out: &mut Emitter) -> Result<(), Error>`",
        ));
    }
    Ok(tried(quote!(Self::end(self, out)), fallible(&end.sig)))
}

/// The call of `end` of a process by field. Sets the outputs that it takes.
fn end_by_field(end: &ImplItemFn, by_field: &ByField, last_ports: &mut Vec<usize>) -> Result<TokenStream> {
    let borrowed = matches!(end.sig.inputs.first(), Some(FnArg::Receiver(receiver)) if receiver.reference.is_some());
    if !borrowed {
        return Err(Error::new(end.sig.span(), "`end` emits the last records and must take `&mut self`"));
    }
    *last_ports = taken_at_the_end(end.sig.inputs.iter(), &by_field.ports)?;
    let passed = last_ports.iter().map(|&at| passed(at));
    Ok(tried(quote!(Self::end(self, #(#passed),*)), fallible(&end.sig)))
}

fn flush_call(flush: &ImplItemFn) -> Result<TokenStream> {
    let borrowed = matches!(flush.sig.inputs.first(), Some(FnArg::Receiver(receiver)) if receiver.reference.is_some());
    if !borrowed || flush.sig.inputs.len() != 1 {
        return Err(Error::new(
            flush.sig.span(),
            "`flush` makes what was written durable: write `fn flush(&mut self) -> Result<(), Error>`",
        ));
    }
    Ok(tried(quote!(Self::flush(self)), fallible(&flush.sig)))
}

fn replay(position: Option<&ImplItemFn>, seek: Option<&ImplItemFn>) -> Result<Option<Replay>> {
    let write = "write `fn position(&self) -> Position` and `fn seek(&mut self, position: Position) -> Result<(), \
        Error>`, where `Position` is a payload type (`u64`, `String`, `Json<T>`)";
    let (position, seek) = match (position, seek) {
        (None, None) => return Ok(None),
        (Some(position), Some(seek)) => (position, seek),
        (Some(one), None) | (None, Some(one)) => {
            return Err(Error::new(
                one.sig.span(),
                format!("a source that can be replayed has both `position` and `seek`: {write}"),
            ));
        }
    };
    let borrowed = |method: &ImplItemFn| {
        matches!(
            method.sig.inputs.first(),
            Some(FnArg::Receiver(receiver)) if receiver.reference.is_some()
        )
    };
    let position_type = match seek.sig.inputs.iter().nth(1) {
        Some(FnArg::Typed(typed)) if borrowed(seek) && seek.sig.inputs.len() == 2 => (*typed.ty).clone(),
        _ => return Err(Error::new(seek.sig.span(), write)),
    };
    if !borrowed(position) || position.sig.inputs.len() != 1 || matches!(position.sig.output, syn::ReturnType::Default)
    {
        return Err(Error::new(position.sig.span(), write));
    }
    Ok(Some(Replay {
        position: tried(quote!(Self::position(self)), fallible(&position.sig)),
        seek: tried(quote!(Self::seek(self, position)), fallible(&seek.sig)),
        position_type,
    }))
}

/// `call`, or the value in it if it returns a `Result`. The generated code returns an error early.
pub(crate) fn tried(call: TokenStream, fallible: bool) -> TokenStream {
    if fallible {
        quote! {
            match #call {
                ::core::result::Result::Ok(value) => value,
                ::core::result::Result::Err(error) => {
                    return ::core::result::Result::Err(::core::convert::Into::into(error));
                }
            }
        }
    } else {
        call
    }
}
