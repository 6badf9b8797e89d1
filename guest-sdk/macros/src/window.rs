//! The attribute `window`. Its block has three methods, so it is read here and not like those of the other kinds.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, FnArg, ImplItem, ImplItemFn, Item, ItemImpl, Result, Type};

use crate::arguments::Arguments;
use crate::by_field::in_record;
use crate::docs::docs;
use crate::kind::Kind;
use crate::lifetimes::anonymous;
use crate::operator::{close_call, open_call, tried};
use crate::port_parameters::record_of;
use crate::signature::fallible;

const ADD: &str = "write `fn add(&mut self, sum: &mut Sum, record: In) -> Result<(), Error>`";
const MERGE: &str = "write `fn merge(&mut self, sum: &mut Sum, later: Sum) -> Result<(), Error>`";
const FINISH: &str = "write `fn finish(&mut self, window: &Window, sum: Sum, out: &mut Emitter) -> Result<(), Error>`, \
    or `out: &mut Port<Out>` for records by field";

/// Expands the attribute.
pub(crate) fn attribute(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let original = Tokens::from(item.clone());
    let expanded = Arguments::read(Kind::Window, arguments.into()).and_then(|arguments| {
        let block = match syn::parse(item)? {
            Item::Impl(block) => block,
            other => {
                let message = "`#[sage_guest::window]` goes on an `impl Name { .. }` with `add`, `merge` and `finish`";
                return Err(Error::new(other.span(), message));
            }
        };
        Block::read(&block).and_then(|read| read.expand(&block, arguments))
    });
    match expanded {
        Ok(tokens) => tokens.into(),
        Err(error) => {
            let error = error.into_compile_error();
            quote!(#original #error).into()
        }
    }
}

/// The methods of the block.
struct Block<'b> {
    ty: &'b Type,
    add: &'b ImplItemFn,
    merge: &'b ImplItemFn,
    finish: &'b ImplItemFn,
    open: Option<&'b ImplItemFn>,
    close: Option<&'b ImplItemFn>,
    /// The type that `add` sums up.
    sum: Type,
    /// The type of the record.
    record: Type,
    /// The output, if it is by field.
    port: Option<Type>,
}

impl<'b> Block<'b> {
    fn read(block: &'b ItemImpl) -> Result<Self> {
        if let Some((_, path, _)) = &block.trait_ {
            let message = "`#[sage_guest::window]` goes on a plain `impl Name { .. }`, not on that of a trait";
            return Err(Error::new(path.span(), message));
        }
        if let Some(parameter) = block.generics.type_params().next() {
            let message = "an operator cannot be generic: name the type, as in `impl Mean<u64>`";
            return Err(Error::new(parameter.span(), message));
        }
        let find = |name: &str| {
            block.items.iter().find_map(|item| match item {
                ImplItem::Fn(method) if method.sig.ident == name => Some(method),
                _ => None,
            })
        };
        let must = |name: &str, write: &str| {
            find(name).ok_or_else(|| {
                Error::new(block.self_ty.span(), format!("this `impl` has no `{name}`, which a window needs: {write}"))
            })
        };
        let (add, merge, finish) = (must("add", ADD)?, must("merge", MERGE)?, must("finish", FINISH)?);
        let [sum, record] = typed(add, ADD)?;
        let sum = match sum {
            Type::Reference(reference) if reference.mutability.is_some() => anonymous(&reference.elem),
            other => {
                let message = format!("`add` changes the accumulator, so it takes `&mut Sum`: {ADD}");
                return Err(Error::new(other.span(), message));
            }
        };
        typed::<2>(merge, MERGE)?;
        let [_, _, out] = typed(finish, FINISH)?;
        let port = record_of(out);
        let is_emitter = matches!(out, Type::Reference(reference) if reference.mutability.is_some());
        if port.is_none() && !is_emitter {
            return Err(Error::new(out.span(), format!("this parameter is the output of `finish`: {FINISH}")));
        }
        Ok(Self {
            ty: &block.self_ty,
            add,
            merge,
            finish,
            open: find("open"),
            close: find("close"),
            sum,
            record: anonymous(record),
            port,
        })
    }

    fn expand(&self, block: &ItemImpl, arguments: Arguments) -> Result<Tokens> {
        let (ty, sum) = (self.ty, &self.sum);
        let open = open_call(Kind::Window, ty, self.open)?;
        let close = self.close.map(close_call).transpose()?.map(|close| quote!(fn close(self) { #close; }));
        let add = tried(quote!(Self::add(self, sum, record)), fallible(&self.add.sig));
        let merge = tried(quote!(Self::merge(self, sum, later)), fallible(&self.merge.sig));
        let (kind, own, world) = match &self.port {
            None => (quote!(Window), self.of_bytes(&add), quote!(window)),
            Some(port) => (quote!(FieldsWindow), self.by_field(&add, port), quote!(fields_window)),
        };
        let description = self.description(block, arguments);
        Ok(quote! {
            #block

            impl ::sage_guest::operator::#kind for #ty {
                type Accumulator = #sum;

                #[allow(unused_variables)]
                fn open(context: &::sage_guest::Context) -> ::core::result::Result<Self, ::sage_guest::Error> {
                    ::core::result::Result::Ok(#open)
                }

                #own

                fn merge(&mut self, sum: &mut #sum, later: #sum) -> ::core::result::Result<(), ::sage_guest::Error> {
                    let () = #merge;
                    ::core::result::Result::Ok(())
                }

                #close
            }

            #description

            #[cfg(target_arch = "wasm32")]
            ::sage_guest::__export!(#world #ty);
        })
    }

    fn of_bytes(&self, add: &Tokens) -> Tokens {
        let (sum, record) = (&self.sum, &self.record);
        let finish = tried(quote!(Self::finish(self, window, sum, out)), fallible(&self.finish.sig));
        let read = quote_spanned! {record.span()=>
            let record = <#record as ::sage_guest::FromRecord<'_>>::from_record(record)?;
        };
        quote! {
            #[inline]
            fn add(
                &mut self,
                sum: &mut #sum,
                record: ::sage_guest::Record<'_, &[u8]>,
            ) -> ::core::result::Result<(), ::sage_guest::Error> {
                #read
                let () = #add;
                ::core::result::Result::Ok(())
            }

            fn finish(
                &mut self,
                window: &::sage_guest::Window<'_>,
                sum: #sum,
                out: &mut ::sage_guest::Emitter,
            ) -> ::core::result::Result<(), ::sage_guest::Error> {
                let () = #finish;
                ::core::result::Result::Ok(())
            }
        }
    }

    fn by_field(&self, add: &Tokens, port: &Type) -> Tokens {
        let sum = &self.sum;
        let (record, leave) = match in_record(&self.record) {
            Some(inner) => (inner, None),
            None => (self.record.clone(), Some(quote!(let record = record.payload;))),
        };
        let finish = tried(quote!(Self::finish(self, window, sum, out)), fallible(&self.finish.sig));
        let fold = quote_spanned! {record.span()=>
            call.each::<#record>(#[inline(always)] |sum, record| -> ::core::result::Result<(), ::sage_guest::Error> {
                #leave
                let () = #add;
                ::core::result::Result::Ok(())
            })
        };
        let made = quote_spanned!(port.span()=> ::sage_guest::Port::<#port>::new(0));
        let extends = quote_spanned! {port.span()=>
            const _: () = ::core::assert!(
                !<#port as ::sage_guest::fields::IntoFields>::EXTENDS,
                "a record with `#[record(extends)]` extends an input record, and a window has many: give all fields"
            );
        };
        quote! {
            fn fold(&mut self, call: ::sage_guest::operator::FieldsFold<'_, #sum>) {
                #fold
            }

            fn finish(&mut self, call: ::sage_guest::operator::FieldsFinish<'_, #sum>) {
                #extends
                call.each((#made, ()), |window, sum, (out, ())| -> ::core::result::Result<(), ::sage_guest::Error> {
                    let () = #finish;
                    ::core::result::Result::Ok(())
                })
            }
        }
    }

    fn description(&self, block: &ItemImpl, arguments: Arguments) -> Tokens {
        let (ty, docs) = (self.ty, docs(&block.attrs));
        let config = match (arguments.config, self.open) {
            (Some(ty), _) => quote_spanned!(ty.span()=> <#ty as ::sage_guest::Describe>::SCHEMA),
            (None, None) => quote!(::sage_guest::__private::NO_CONFIG),
            (None, Some(_)) => quote!(&::sage_guest::description::Schema::Any),
        };
        let fields = match &self.port {
            None => quote!(::core::option::Option::None),
            Some(port) => {
                let record = in_record(&self.record).unwrap_or_else(|| self.record.clone());
                let reads = quote_spanned!(record.span()=> <#record as ::sage_guest::fields::FromFields<'_>>::FIELDS);
                let gives = quote_spanned!(port.span()=> <#port as ::sage_guest::fields::IntoFields>::FIELDS);
                quote! {
                    ::core::option::Option::Some(::sage_guest::description::Fields {
                        reads: #reads,
                        gives: #gives,
                        keeps_rest: false,
                        ports: &[],
                    })
                }
            }
        };
        quote! {
            impl ::sage_guest::operator::Described for #ty {
                const DESCRIPTION: ::sage_guest::description::Description = ::sage_guest::description::Description {
                    docs: #docs,
                    stateful: true,
                    config: #config,
                    fields: #fields,
                };
            }
        }
    }
}

/// The types of the parameters of a method that takes `&self` or `&mut self`.
fn typed<'m, const N: usize>(method: &'m ImplItemFn, write: &str) -> Result<[&'m Type; N]> {
    let wrong = || Error::new(method.sig.span(), write);
    match method.sig.inputs.first() {
        Some(FnArg::Receiver(receiver)) if receiver.reference.is_some() => {}
        _ => return Err(wrong()),
    }
    let types: Vec<&Type> = method
        .sig
        .inputs
        .iter()
        .filter_map(|input| match input {
            FnArg::Typed(typed) => Some(&*typed.ty),
            FnArg::Receiver(_) => None,
        })
        .collect();
    types.try_into().map_err(|_| wrong())
}
