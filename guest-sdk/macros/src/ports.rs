use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, LitStr, Result, Token, bracketed};

/// The names of the side outputs that an attribute declares: `["late"]`.
#[derive(Default)]
pub(crate) struct Ports(Vec<LitStr>);

impl Parse for Ports {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let list;
        bracketed!(list in input);
        let names = Punctuated::<LitStr, Token![,]>::parse_terminated(&list)?;

        let mut seen = Vec::new();
        for name in names {
            let text = name.value();
            let plain = !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
            if !plain {
                return Err(Error::new(
                    name.span(),
                    format!("port {text:?} must be lower-case letters, digits and `-`"),
                ));
            }
            if text == "rejects" {
                return Err(Error::new(
                    name.span(),
                    "every operator has a port `rejects`, for the records that it rejects; choose another name",
                ));
            }
            if seen.iter().any(|known: &LitStr| known.value() == text) {
                return Err(Error::new(name.span(), format!("port {text:?} is named twice")));
            }
            seen.push(name);
        }
        Ok(Self(seen))
    }
}

impl Ports {
    /// The place of the first name.
    pub(crate) fn span(&self) -> Option<Span> {
        self.0.first().map(LitStr::span)
    }
}

impl ToTokens for Ports {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let names = &self.0;
        tokens.extend(quote!(&[#(#names),*]));
    }
}
