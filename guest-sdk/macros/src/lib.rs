//! The attribute macros of `sage-guest`; use them through that crate, which documents them.
//!
//! Flow: an attribute's arguments ([`ports`]) and its item become an [`operator`] (function or `impl` block, checked by
//! [`signature`]), which [`expand`] turns into the user's own code, unchanged, an implementation of the kind's trait
//! from `sage_guest::operator`, and, in a component only, the exports of the kind's world.
//! What syntax can tell is refused here, in words that say what to write; types are checked by the traits' own diagnostics.

mod expand;
mod kind;
mod operator;
mod ports;
mod signature;

use kind::Kind;
use proc_macro::TokenStream;

fn attribute(kind: Kind, arguments: TokenStream, item: TokenStream) -> TokenStream {
    let original = proc_macro2::TokenStream::from(item.clone());
    let expanded = ports::Ports::read(kind, arguments.into())
        .and_then(|ports| operator::read(kind, ports, syn::parse(item)?))
        .map(|operator| expand::expand(&operator));
    match expanded {
        Ok(tokens) => tokens.into(),
        // The user's own code stays, so that the only error shown is ours.
        Err(error) => {
            let error = error.into_compile_error();
            quote::quote!(#original #error).into()
        }
    }
}

/// x
#[proc_macro_attribute]
pub fn map(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::Map, arguments, item)
}

/// x
#[proc_macro_attribute]
pub fn filter(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::Filter, arguments, item)
}

/// x
#[proc_macro_attribute]
pub fn flat_map(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::FlatMap, arguments, item)
}

/// x
#[proc_macro_attribute]
pub fn key_by(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::KeyBy, arguments, item)
}

/// x
#[proc_macro_attribute]
pub fn process(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::Process, arguments, item)
}

/// x
#[proc_macro_attribute]
pub fn source(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::Source, arguments, item)
}

/// x
#[proc_macro_attribute]
pub fn sink(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::Sink, arguments, item)
}
