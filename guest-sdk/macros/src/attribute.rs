use proc_macro::TokenStream;

use crate::kind::Kind;
use crate::{arguments, expand, operator};

/// Expands the attribute of a kind.
pub(crate) fn attribute(kind: Kind, arguments: TokenStream, item: TokenStream) -> TokenStream {
    let original = proc_macro2::TokenStream::from(item.clone());
    let expanded = arguments::Arguments::read(kind, arguments.into())
        .and_then(|arguments| operator::read(kind, arguments, syn::parse(item)?))
        .map(|operator| expand::expand(&operator));
    match expanded {
        Ok(tokens) => tokens.into(),
        // The user's own code stays in the output, so that our error is the only one shown.
        Err(error) => {
            let error = error.into_compile_error();
            quote::quote!(#original #error).into()
        }
    }
}
