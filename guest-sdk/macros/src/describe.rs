use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DataEnum, DataStruct, DeriveInput, Error, Fields, Result};

use crate::docs::docs;
use crate::serde_attributes::{Attributes, RenameRule};

/// `#[derive(Describe)]`: a constant with the shape that serde reads.
pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let attributes = Attributes::read(&input.attrs)?;
    let schema = if let Some(from) = &attributes.from {
        of_type(from)
    } else {
        match &input.data {
            Data::Struct(data) => structure(input, data, &attributes)?,
            Data::Enum(data) => enumeration(data, &attributes)?,
            Data::Union(_) => return Err(Error::new(input.ident.span(), "a union cannot be read from configuration")),
        }
    };
    let name = &input.ident;
    let mut generics = input.generics.clone();
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(syn::parse_quote!(::sage_guest::Describe));
    }
    let (implemented, arguments, bounds) = generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #implemented ::sage_guest::Describe for #name #arguments #bounds {
            const SCHEMA: &'static ::sage_guest::description::Schema = #schema;
        }
    })
}

fn of_type(ty: &impl ToTokens) -> TokenStream {
    quote_spanned!(ty.span()=> <#ty as ::sage_guest::Describe>::SCHEMA)
}

/// The shape of a value that serde reads in a way that is not described.
fn anything() -> TokenStream {
    quote!(&::sage_guest::description::Schema::Any)
}

fn structure(input: &DeriveInput, data: &DataStruct, attributes: &Attributes) -> Result<TokenStream> {
    let named = match &data.fields {
        Fields::Named(named) => named,
        // A newtype is read like its field.
        Fields::Unnamed(unnamed) if unnamed.unnamed.len() == 1 => {
            return Ok(unnamed.unnamed.first().map_or_else(anything, |field| of_type(&field.ty)));
        }
        Fields::Unnamed(_) | Fields::Unit => return Ok(anything()),
    };
    if attributes.transparent {
        return Ok(named.named.first().map_or_else(anything, |field| of_type(&field.ty)));
    }
    let mut fields = Vec::new();
    let mut closed = attributes.deny_unknown_fields;
    for field in &named.named {
        let Some(ident) = &field.ident else { continue };
        let own = Attributes::read(&field.attrs)?;
        if own.skip {
            continue;
        }
        if own.flatten {
            closed = false;
            continue;
        }
        let name = own.rename.clone().unwrap_or_else(|| attributes.rename_all.field(&unraw(ident)));
        let docs = docs(&field.attrs);
        let schema = if own.with { anything() } else { of_type(&field.ty) };
        // Another name may take the place of each name, and JSON Schema has no short form for this, so none of
        // them is required.
        let optional =
            own.default || attributes.default || !own.aliases.is_empty() || (!own.with && is_option(&field.ty));
        let names = std::iter::once(&name).chain(&own.aliases);
        fields.extend(names.map(|name| {
            quote! {
                ::sage_guest::description::Field { name: #name, docs: #docs, required: !#optional, schema: #schema }
            }
        }));
    }
    let docs = docs(&input.attrs);
    Ok(quote! {
        &::sage_guest::description::Schema::Object(&::sage_guest::description::Object {
            docs: #docs,
            fields: &[#(#fields),*],
            closed: #closed,
        })
    })
}

/// An enum without values in its variants is described as one of the names of its variants.
fn enumeration(data: &DataEnum, attributes: &Attributes) -> Result<TokenStream> {
    let words = data.variants.iter().all(|variant| matches!(variant.fields, Fields::Unit));
    if !words || attributes.tagged {
        return Ok(anything());
    }
    let mut names = Vec::new();
    for variant in &data.variants {
        let own = Attributes::read(&variant.attrs)?;
        if own.skip {
            continue;
        }
        names.push(own.rename.unwrap_or_else(|| attributes.rename_all.variant(&unraw(&variant.ident))));
        names.extend(own.aliases);
    }
    Ok(quote!(&::sage_guest::description::Schema::OneOf(&[#(#names),*])))
}

fn is_option(ty: &syn::Type) -> bool {
    matches!(ty, syn::Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Option"))
}

fn unraw(ident: &syn::Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map_or_else(|| name.clone(), str::to_owned)
}

impl RenameRule {
    /// Renames a field, which is in snake case.
    fn field(self, name: &str) -> String {
        self.apply(&name.split('_').map(str::to_lowercase).collect::<Vec<_>>(), name)
    }

    /// Renames a variant, which is in Pascal case.
    fn variant(self, name: &str) -> String {
        let mut words: Vec<String> = Vec::new();
        for letter in name.chars() {
            match words.last_mut() {
                Some(word) if !letter.is_uppercase() => word.push(letter),
                _ => words.push(letter.to_lowercase().collect()),
            }
        }
        self.apply(&words, name)
    }

    fn apply(self, words: &[String], name: &str) -> String {
        let capital = |word: &String| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        };
        match self {
            Self::None => name.to_owned(),
            Self::Lower => words.concat(),
            Self::Upper => words.concat().to_uppercase(),
            Self::Pascal => words.iter().map(capital).collect(),
            Self::Camel => words.iter().take(1).cloned().chain(words.iter().skip(1).map(capital)).collect(),
            Self::Snake => words.join("_"),
            Self::ScreamingSnake => words.join("_").to_uppercase(),
            Self::Kebab => words.join("-"),
            Self::ScreamingKebab => words.join("-").to_uppercase(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_change_as_serde_changes_them() {
        let cases = [
            (RenameRule::None, "one_in", "VeryHot"),
            (RenameRule::Pascal, "OneIn", "VeryHot"),
            (RenameRule::Camel, "oneIn", "veryHot"),
            (RenameRule::Snake, "one_in", "very_hot"),
            (RenameRule::ScreamingSnake, "ONE_IN", "VERY_HOT"),
            (RenameRule::Kebab, "one-in", "very-hot"),
            (RenameRule::ScreamingKebab, "ONE-IN", "VERY-HOT"),
        ];
        for (rule, field, variant) in cases {
            assert_eq!((rule.field("one_in"), rule.variant("VeryHot")), (field.to_owned(), variant.to_owned()));
        }
        assert_eq!(RenameRule::Lower.variant("VeryHot"), "veryhot");
        assert_eq!(RenameRule::Upper.variant("VeryHot"), "VERYHOT");
    }
}
