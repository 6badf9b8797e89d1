use proc_macro2::TokenStream;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, Result, Token, Type};

use crate::kind::Kind;
use crate::ports::Ports;

/// The arguments of an attribute: `#[sage_guest::process(ports = ["late"], config = Settings, stateless)]`.
#[derive(Default)]
pub(crate) struct Arguments {
    /// The side outputs.
    pub(crate) ports: Ports,
    /// The type of the configuration that `open` reads.
    pub(crate) config: Option<Type>,
    /// The word `stateless`, if present: the operator keeps no state, so records with equal keys may go to
    /// different instances.
    pub(crate) stateless: Option<Ident>,
    /// The word `payload`, if present: the record implements `FromPayload` itself, and is not read by field.
    pub(crate) payload: Option<Ident>,
}

impl Arguments {
    /// Reads the attribute's arguments.
    pub(crate) fn read(kind: Kind, arguments: TokenStream) -> Result<Self> {
        if arguments.is_empty() {
            return Ok(Self::default());
        }
        let Read { arguments, words } = syn::parse2(arguments)?;
        for word in words {
            let fits = match word.to_string().as_str() {
                "ports" => kind.emits(),
                "stateless" => kind == Kind::Process,
                "payload" => kind.reads_fields(),
                _ => true,
            };
            if !fits {
                let who = match word.to_string().as_str() {
                    "ports" => "only `process` and `source` have side outputs",
                    "payload" => {
                        "its outputs decide: `&mut Emitter` for payloads, and `&mut Port<Out>` for records by field"
                    }
                    _ => "only a `process` may keep state",
                };
                let message = format!("`#[sage_guest::{}]` takes no `{word}`; {who}", kind.attribute());
                return Err(Error::new(word.span(), message));
            }
        }
        Ok(arguments)
    }
}

/// The arguments, and their names as written.
struct Read {
    arguments: Arguments,
    words: Vec<Ident>,
}

impl Parse for Read {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        const WRITE: &str = "write `ports = [\"name\", ..]` for side outputs, `config = Settings` for the type that \
            `open` reads, `stateless`, or `payload` for a record that implements `FromPayload`";
        let mut read = Self { arguments: Arguments::default(), words: Vec::new() };
        while !input.is_empty() {
            let word: Ident = input.parse().map_err(|error| Error::new(error.span(), WRITE))?;
            if read.words.contains(&word) {
                return Err(Error::new(word.span(), format!("`{word}` is written twice")));
            }
            match word.to_string().as_str() {
                "ports" => {
                    input.parse::<Token![=]>()?;
                    read.arguments.ports = input.parse()?;
                }
                "config" => {
                    input.parse::<Token![=]>()?;
                    read.arguments.config = Some(input.parse()?);
                }
                "stateless" => read.arguments.stateless = Some(word.clone()),
                "payload" => read.arguments.payload = Some(word.clone()),
                _ => return Err(Error::new(word.span(), format!("unknown argument `{word}`: {WRITE}"))),
            }
            read.words.push(word);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(read)
    }
}
