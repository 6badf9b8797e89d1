use syn::meta::ParseNestedMeta;
use syn::{Attribute, LitStr, Result, Type};

/// How serde changes names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum RenameRule {
    #[default]
    None,
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

/// The `#[serde(...)]` attributes that change how a type, a field or a variant is read.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) rename: Option<String>,
    pub(crate) rename_all: RenameRule,
    pub(crate) aliases: Vec<String>,
    pub(crate) default: bool,
    pub(crate) skip: bool,
    pub(crate) flatten: bool,
    /// Whether a function reads the value.
    pub(crate) with: bool,
    pub(crate) deny_unknown_fields: bool,
    pub(crate) transparent: bool,
    /// Whether the enum is not written as the name of its variant.
    pub(crate) tagged: bool,
    /// The type that is read instead.
    pub(crate) from: Option<Type>,
}

impl Attributes {
    /// Reads the attributes. Errors that serde itself reports are left to serde.
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut read = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            attribute.parse_nested_meta(|meta| read.add(&meta))?;
        }
        Ok(read)
    }

    fn add(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let word = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        match word.as_str() {
            "rename" => self.rename = name(meta, "deserialize")?,
            "rename_all" => {
                if let Some(rule) = name(meta, "deserialize")? {
                    self.rename_all = RenameRule::named(&rule);
                }
            }
            "alias" => self.aliases.push(meta.value()?.parse::<LitStr>()?.value()),
            "from" | "try_from" => self.from = Some(meta.value()?.parse::<LitStr>()?.parse()?),
            "with" | "deserialize_with" => {
                self.with = true;
                ignore(meta)?;
            }
            "default" => {
                self.default = true;
                ignore(meta)?;
            }
            "tag" | "content" => {
                self.tagged = true;
                ignore(meta)?;
            }
            "untagged" => self.tagged = true,
            "skip" | "skip_deserializing" => self.skip = true,
            "flatten" => self.flatten = true,
            "deny_unknown_fields" => self.deny_unknown_fields = true,
            "transparent" => self.transparent = true,
            _ => ignore(meta)?,
        }
        Ok(())
    }
}

/// Reads `= "name"`, or `(deserialize = "name")`.
fn name(meta: &ParseNestedMeta<'_>, side: &str) -> Result<Option<String>> {
    if meta.input.peek(syn::Token![=]) {
        return Ok(Some(meta.value()?.parse::<LitStr>()?.value()));
    }
    let mut found = None;
    meta.parse_nested_meta(|inner| {
        let value = inner.value()?.parse::<LitStr>()?.value();
        if inner.path.is_ident(side) {
            found = Some(value);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Skips a value, or a group in parentheses.
fn ignore(meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(syn::Token![=]) {
        meta.value()?.parse::<syn::Expr>()?;
    } else if meta.input.peek(syn::token::Paren) {
        let inner;
        syn::parenthesized!(inner in meta.input);
        inner.parse::<proc_macro2::TokenStream>()?;
    }
    Ok(())
}

impl RenameRule {
    fn named(name: &str) -> Self {
        match name {
            "lowercase" => Self::Lower,
            "UPPERCASE" => Self::Upper,
            "PascalCase" => Self::Pascal,
            "camelCase" => Self::Camel,
            "snake_case" => Self::Snake,
            "SCREAMING_SNAKE_CASE" => Self::ScreamingSnake,
            "kebab-case" => Self::Kebab,
            "SCREAMING-KEBAB-CASE" => Self::ScreamingKebab,
            _ => Self::None,
        }
    }
}
