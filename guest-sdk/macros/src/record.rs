use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, GenericParam, Lifetime, Result, Type};

use crate::docs::docs;
use crate::lifetimes::renamed;
use crate::record_attributes::{OfField, OfStruct};

const WRITE: &str = "write a struct with named fields, as in `struct Reading<'a> { sensor: &'a str, fahrenheit: f64 }`";

/// A struct under `#[derive(Record)]`.
struct Record<'i> {
    name: &'i Ident,
    visibility: &'i syn::Visibility,
    /// The struct's own lifetime, if it has one.
    lifetime: Option<Lifetime>,
    extends: bool,
    fields: Vec<Field<'i>>,
}

/// A field of the struct.
struct Field<'i> {
    ident: &'i Ident,
    ty: &'i Type,
    name: String,
    json: bool,
    docs: String,
}

/// `#[derive(Record)]`: reading the struct from columns and writing it to columns.
pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let record = Record::read(input)?;
    let (from, into) = (record.reading(), record.writing());
    Ok(quote! {
        const _: () = {
            #from
            #into
        };
    })
}

impl<'i> Record<'i> {
    fn read(input: &'i DeriveInput) -> Result<Self> {
        let named = match &input.data {
            Data::Struct(data) => match &data.fields {
                Fields::Named(named) if !named.named.is_empty() => &named.named,
                Fields::Named(_) | Fields::Unit => {
                    return Err(Error::new(input.ident.span(), format!("a record has at least one field: {WRITE}")));
                }
                Fields::Unnamed(unnamed) => {
                    let message = format!("the fields of a record need names, by which they are found: {WRITE}");
                    return Err(Error::new(unnamed.span(), message));
                }
            },
            Data::Enum(_) | Data::Union(_) => {
                let message = format!("a record has the same fields in every row, so it is no enum or union: {WRITE}");
                return Err(Error::new(input.ident.span(), message));
            }
        };
        let extends = OfStruct::read(&input.attrs)?.extends;
        let lifetime = lifetime(input)?;
        let mut record = Self { name: &input.ident, visibility: &input.vis, lifetime, extends, fields: Vec::new() };
        for field in named {
            let Some(ident) = &field.ident else { continue };
            let own = OfField::read(field)?;
            if !own.nested {
                crate::field_types::check(&field.ty)?;
            }
            let name = own.rename.as_ref().map_or_else(|| unraw(ident), syn::LitStr::value);
            if name.is_empty() {
                return Err(Error::new(ident.span(), "the name of a field is not empty"));
            }
            if let Some(other) = record.fields.iter().find(|other| other.name == name) {
                let place = own.rename.as_ref().map_or(ident.span(), Spanned::span);
                let other = other.ident;
                let message =
                    format!("two fields are named {name:?}: `{other}` has this name too, give one of them another");
                return Err(Error::new(place, message));
            }
            record.fields.push(Field { ident, ty: &field.ty, name, json: own.json, docs: docs(&field.attrs) });
        }
        Ok(record)
    }

    /// The struct with its lifetime.
    fn ty(&self) -> TokenStream {
        let (name, lifetime) = (self.name, &self.lifetime);
        lifetime.as_ref().map_or_else(|| quote!(#name), |lifetime| quote!(#name<#lifetime>))
    }

    /// The lifetime of the input.
    fn input(&self) -> Lifetime {
        let anywhere = || Lifetime::new("'input", proc_macro2::Span::call_site());
        self.lifetime.clone().unwrap_or_else(anywhere)
    }

    /// The descriptions of the fields, as an array.
    fn descriptions(&self, of: &TokenStream, lifetime: &str) -> TokenStream {
        let fields = self.fields.iter().map(|Field { ty, name, json, docs, .. }| {
            let ty = renamed(ty, lifetime);
            let data_type = if *json {
                quote!(::sage_guest::fields::DataType::JsonText)
            } else {
                quote_spanned!(ty.span()=> <#ty as #of>::DATA_TYPE)
            };
            let nullable = quote_spanned!(ty.span()=> <#ty as #of>::NULLABLE);
            quote! {
                ::sage_guest::fields::FieldType {
                    name: #name, data_type: #data_type, nullable: #nullable, docs: #docs
                }
            }
        });
        quote!([#(#fields),*])
    }

    /// `FromFields`. A record with a `'static` field can only be given: nothing that is read lives as long.
    fn reading(&self) -> Option<TokenStream> {
        if self.fields.iter().any(|field| crate::lifetimes::has_static(field.ty)) {
            return None;
        }
        let (ty, input) = (self.ty(), self.input());
        let of = quote!(::sage_guest::fields::FromField<#input>);
        let fields = self.descriptions(&of, &input.ident.to_string());
        let each = |code: &dyn Fn(&Field<'_>, TokenStream, syn::Index) -> TokenStream| -> Vec<TokenStream> {
            let fields = self.fields.iter().enumerate();
            fields
                .map(|(at, field)| {
                    let ty = field.ty;
                    code(field, quote_spanned!(ty.span()=> <#ty as #of>), syn::Index::from(at))
                })
                .collect()
        };
        let view = |field: &Field<'_>| {
            let ty = field.ty;
            quote_spanned!(ty.span()=> ::sage_guest::fields::ColumnView::<#input, #ty>)
        };
        let columns = each(&|field, _, _| view(field));
        let chunks = each(&|_, field, _| quote!(#field::Chunk));
        let take = each(&|field, _, at| {
            let view = view(field);
            quote!(#view::of(from.column(#at)))
        });
        let chunk = each(&|_, _, at| quote!(columns.#at.chunk(at)));
        let whole = each(&|_, field, at| quote!(#field::whole(&chunk.#at, rows)));
        let in_chunk =
            each(&|Field { ident, .. }, field, at| quote!(#ident: #field::in_chunk::<WHOLE>(&chunk.#at, row)));
        let get = each(&|Field { ident, .. }, _, at| quote!(#ident: columns.#at.at(row)));
        Some(quote! {
            #[automatically_derived]
            impl<#input> ::sage_guest::fields::FromFields<#input> for #ty {
                const FIELDS: &'static [::sage_guest::fields::FieldType] = &#fields;
                type Columns = (#(#columns,)*);
                type Chunk = (#(#chunks,)*);

                fn columns(from: ::sage_guest::fields::RecordColumns<#input>) -> Self::Columns {
                    (#(#take,)*)
                }

                #[inline(always)]
                fn chunk(columns: &Self::Columns, at: usize) -> Self::Chunk {
                    (#(#chunk,)*)
                }

                #[inline(always)]
                fn whole(chunk: &Self::Chunk, rows: u32) -> bool {
                    true #(&& #whole)*
                }

                #[inline(always)]
                fn in_chunk<const WHOLE: bool>(chunk: &Self::Chunk, row: usize) -> Self {
                    Self { #(#in_chunk),* }
                }

                #[inline(always)]
                fn get(columns: &Self::Columns, row: usize) -> Self {
                    Self { #(#get),* }
                }
            }

            /// The record as a field of another record.
            #[automatically_derived]
            impl<#input> ::sage_guest::fields::FromField<#input> for #ty {
                const DATA_TYPE: ::sage_guest::fields::DataType =
                    ::sage_guest::fields::DataType::of_struct(<Self as ::sage_guest::fields::FromFields<#input>>::FIELDS);
                type Column = <Self as ::sage_guest::fields::FromFields<#input>>::Columns;
                type Chunk = <Self as ::sage_guest::fields::FromFields<#input>>::Chunk;

                fn column(from: ::sage_guest::fields::ColumnOf<#input>) -> Self::Column {
                    let members = from.members(<Self as ::sage_guest::fields::FromFields<#input>>::FIELDS.len());
                    <Self as ::sage_guest::fields::FromFields<#input>>::columns(members)
                }

                #[inline(always)]
                fn chunk(column: &Self::Column, at: usize) -> Self::Chunk {
                    <Self as ::sage_guest::fields::FromFields<#input>>::chunk(column, at)
                }

                #[inline(always)]
                fn whole(chunk: &Self::Chunk, rows: u32) -> bool {
                    <Self as ::sage_guest::fields::FromFields<#input>>::whole(chunk, rows)
                }

                #[inline(always)]
                fn in_chunk<const WHOLE: bool>(chunk: &Self::Chunk, row: usize) -> Self {
                    <Self as ::sage_guest::fields::FromFields<#input>>::in_chunk::<WHOLE>(chunk, row)
                }

                #[inline(always)]
                fn get(column: &Self::Column, row: usize) -> Self {
                    <Self as ::sage_guest::fields::FromFields<#input>>::get(column, row)
                }
            }
        })
    }

    fn writing(&self) -> TokenStream {
        let (ty, extends) = (self.ty(), self.extends);
        let generics = self.lifetime.as_ref().map(|lifetime| quote!(<#lifetime>));
        let fields = self.descriptions(&quote!(::sage_guest::fields::IntoField), "static");
        let (count, visibility) = (self.fields.len(), self.visibility);
        // No name of the user's, who may have named the record `Out`.
        let columns = format_ident!("__{}Columns", self.name);
        let outs: Vec<TokenStream> = self
            .fields
            .iter()
            .map(|Field { ty, .. }| {
                let ty = renamed(ty, "static");
                quote_spanned!(ty.span()=> <#ty as ::sage_guest::fields::IntoField>::Out)
            })
            .collect();
        let out = quote!(::sage_guest::fields::FieldOut);
        let at: Vec<syn::Index> = (0..outs.len()).map(syn::Index::from).collect();
        let idents: Vec<&Ident> = self.fields.iter().map(|field| field.ident).collect();
        let puts = self.fields.iter().enumerate().map(|(at, Field { ident, ty, .. })| {
            let at = syn::Index::from(at);
            quote_spanned!(ty.span()=> <#ty as ::sage_guest::fields::IntoField>::put(#ident, &mut chunk.#at, row);)
        });
        let keeps = self.fields.iter().enumerate().map(|(at, Field { ident, ty, .. })| {
            let at = syn::Index::from(at);
            quote_spanned!(ty.span()=> <#ty as ::sage_guest::fields::IntoField>::keep(#ident, &mut turn.#at, row);)
        });
        quote! {
            /// The columns of the record in an answer.
            #[allow(non_camel_case_types)]
            #visibility struct #columns(#(#outs),*);

            /// The fields of the record.
            const __FIELDS: &[::sage_guest::fields::FieldType; #count] = &#fields;

            #[automatically_derived]
            impl ::sage_guest::fields::RecordOut for #columns {
                type Chunk<'o> = (#(<#outs as #out>::Chunk<'o>,)*);
                type Turn<'o> = (#(<#outs as #out>::Turn<'o>,)*);

                fn begin(rows: usize) -> Self {
                    Self(#(<#outs as #out>::begin(&__FIELDS[#at], rows)),*)
                }

                #[inline(always)]
                fn chunk<'o>(&'o mut self, at: usize, inputs: ::sage_guest::fields::Inputs<'o>) -> Self::Chunk<'o> {
                    (#(#out::chunk(&mut self.#at, at, inputs),)*)
                }

                #[inline(always)]
                fn skip(chunk: &mut Self::Chunk<'_>, row: usize) {
                    #(<#outs as #out>::skip(&mut chunk.#at, row);)*
                }

                #[inline(always)]
                fn turn<'o>(&'o mut self, inputs: ::sage_guest::fields::Inputs<'o>) -> Self::Turn<'o> {
                    (#(#out::turn(&mut self.#at, inputs),)*)
                }

                #[inline(always)]
                fn next_turn(turn: &mut Self::Turn<'_>, at: usize) {
                    #(<#outs as #out>::next_turn(&mut turn.#at, at);)*
                }

                #[inline(always)]
                fn skip_in_turn(turn: &mut Self::Turn<'_>, row: usize) {
                    #(<#outs as #out>::skip_in_turn(&mut turn.#at, row);)*
                }

                #[inline(always)]
                fn end(turn: &mut Self::Turn<'_>) {
                    #(<#outs as #out>::end(&mut turn.#at);)*
                }

                fn grow(&mut self, rows: usize) {
                    #(#out::grow(&mut self.#at, rows);)*
                }

                fn truncate(&mut self, rows: usize) {
                    #(#out::truncate(&mut self.#at, rows);)*
                }

                fn bytes(&self) -> usize {
                    0 #(+ #out::bytes(&self.#at))*
                }

                fn finish(
                    self,
                    rows: usize,
                    inputs: ::sage_guest::fields::Inputs<'_>,
                    children: &mut ::std::vec::Vec<::sage_guest::fields::Field>,
                ) -> ::std::vec::Vec<::sage_guest::fields::Field> {
                    ::std::vec![#(#out::finish(self.#at, rows, inputs, children)),*]
                }
            }

            #[automatically_derived]
            impl #generics ::sage_guest::fields::IntoFields for #ty {
                const FIELDS: &'static [::sage_guest::fields::FieldType] = __FIELDS;
                const EXTENDS: bool = #extends;
                type Out = #columns;

                #[inline(always)]
                fn put(self, chunk: &mut <#columns as ::sage_guest::fields::RecordOut>::Chunk<'_>, row: usize) {
                    let Self { #(#idents),* } = self;
                    #(#puts)*
                }

                #[inline(always)]
                fn keep<'o>(self, turn: &mut <#columns as ::sage_guest::fields::RecordOut>::Turn<'o>, row: usize)
                where
                    Self: 'o,
                {
                    let Self { #(#idents),* } = self;
                    #(#keeps)*
                }
            }

            /// The record as a field of another record.
            #[automatically_derived]
            impl #generics ::sage_guest::fields::IntoField for #ty {
                const DATA_TYPE: ::sage_guest::fields::DataType = ::sage_guest::fields::DataType::of_struct(__FIELDS);
                type Out = ::sage_guest::fields::StructOut<#columns>;

                #[inline(always)]
                fn put(self, chunk: &mut <#columns as ::sage_guest::fields::RecordOut>::Chunk<'_>, row: usize) {
                    ::sage_guest::fields::IntoFields::put(self, chunk, row);
                }

                #[inline(always)]
                fn keep<'o>(self, turn: &mut <#columns as ::sage_guest::fields::RecordOut>::Turn<'o>, row: usize)
                where
                    Self: 'o,
                {
                    ::sage_guest::fields::IntoFields::keep(self, turn, row);
                }
            }
        }
    }
}

/// Returns the struct's lifetime. Types cannot be parameters: the schema has to name them.
fn lifetime(input: &DeriveInput) -> Result<Option<Lifetime>> {
    let mut found = None;
    for parameter in &input.generics.params {
        match parameter {
            GenericParam::Lifetime(lifetime) if found.is_none() => found = Some(lifetime.lifetime.clone()),
            GenericParam::Lifetime(lifetime) => {
                let message = "a record borrows from one place, its batch: one lifetime is enough";
                return Err(Error::new(lifetime.span(), message));
            }
            GenericParam::Type(_) | GenericParam::Const(_) => {
                let message = "a record cannot be generic, because the schema names the type of each field: write the \
                    type, or one struct for each";
                return Err(Error::new(parameter.span(), message));
            }
        }
    }
    Ok(found)
}

fn unraw(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map_or_else(|| name.clone(), str::to_owned)
}
