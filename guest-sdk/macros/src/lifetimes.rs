use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::quote;
use syn::Type;

/// Replaces every named lifetime except `'static` by `'_`, so that the type can be named outside the function.
pub(crate) fn anonymous(ty: &Type) -> Type {
    renamed(ty, "_")
}

/// Replaces every named lifetime except `'static` by this one.
pub(crate) fn renamed(ty: &Type, name: &str) -> Type {
    let tokens = rename(quote!(#ty), name);
    // Only lifetimes have changed, and the new one is valid wherever a named lifetime is.
    syn::parse2(tokens).unwrap_or_else(|_| ty.clone())
}

/// Returns whether a type names `'static`.
pub(crate) fn has_static(ty: &Type) -> bool {
    fn found(tokens: TokenStream) -> bool {
        let mut of_lifetime = false;
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(name) => std::mem::take(&mut of_lifetime) && name == "static",
            TokenTree::Group(group) => found(group.stream()),
            token => {
                of_lifetime = starts_lifetime(&token);
                false
            }
        })
    }
    found(quote!(#ty))
}

/// A lifetime is a joint `'` and an identifier.
fn starts_lifetime(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == '\'')
}

fn rename(tokens: TokenStream, to: &str) -> TokenStream {
    let mut of_lifetime = false;
    tokens
        .into_iter()
        .map(|token| match token {
            TokenTree::Ident(name) if of_lifetime => {
                of_lifetime = false;
                TokenTree::Ident(if name == "static" { name } else { Ident::new(to, name.span()) })
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), rename(group.stream(), to));
                inner.set_span(group.span());
                TokenTree::Group(inner)
            }
            token => {
                of_lifetime = starts_lifetime(&token);
                token
            }
        })
        .collect()
}
