use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use crate::expand::{close, open};
use crate::kind::Kind;
use crate::operator::{Operator, tried};

/// Generates the fields that an operator reads and gives.
pub(crate) fn description(operator: &Operator) -> TokenStream {
    let Some(by_field) = &operator.checked.by_field else { return quote!(::core::option::Option::None) };
    let reads = match &operator.checked.record {
        Some(ty) => quote_spanned!(ty.span()=> <#ty as ::sage_guest::fields::FromFields<'_>>::FIELDS),
        None => quote!(&[]),
    };
    let given = |ty: &Type| {
        let of = quote_spanned!(ty.span()=> <#ty as ::sage_guest::fields::IntoFields>);
        (quote!(#of::FIELDS), quote!(#of::EXTENDS))
    };
    let main = by_field.given.as_ref().or(by_field.ports.first().map(|port| &port.record));
    let (gives, keeps_rest) = match main {
        Some(ty) => given(ty),
        // A filter and a key-by keep their records, and a sink gives none.
        None => (quote!(&[]), if operator.kind == Kind::Sink { quote!(false) } else { quote!(true) }),
    };
    let ports = by_field.ports.iter().skip(1).map(|port| {
        let (name, (gives, keeps_rest)) = (&port.name, given(&port.record));
        quote! {
            ::sage_guest::description::PortFields { name: #name, gives: #gives, keeps_rest: #keeps_rest }
        }
    });
    quote! {
        ::core::option::Option::Some(::sage_guest::description::Fields {
            reads: #reads,
            gives: #gives,
            keeps_rest: #keeps_rest,
            ports: &[#(#ports),*],
        })
    }
}

/// Generates a kind that takes records by field. The record's type is a parameter of the loop, and the closure passes
/// the output on instead of returning it, because the output may borrow from the operator.
pub(crate) fn kind(operator: &Operator) -> TokenStream {
    let (ty, record) = (&operator.ty, &operator.checked.record);
    let open = open(operator, &quote!());
    let close = close(operator);
    let user = tried(operator.call.clone(), operator.checked.fallible);
    let span = operator.checked.answer;
    let error = quote!(::sage_guest::Error);
    let (kind, each) = match operator.kind {
        Kind::Filter => {
            let keep = quote_spanned!(span=> ::sage_guest::__private::Verdict::keep(answer));
            let each = quote_spanned! {record.span()=>
                call.filter::<#record>(#[inline(always)] |record| -> ::core::result::Result<bool, #error> {
                    let answer = #user;
                    ::core::result::Result::Ok(#keep)
                })
            };
            (quote!(FieldsFilter), each)
        }
        Kind::KeyBy => {
            let give = quote_spanned!(span=> ::sage_guest::IntoPayload::write(answer, out));
            let each = quote_spanned! {record.span()=>
                call.key_by::<#record>(#[inline(always)] |record, out| -> ::core::result::Result<(), #error> {
                    let answer = #user;
                    #give
                })
            };
            (quote!(FieldsKeyBy), each)
        }
        Kind::FlatMap => {
            let give = quote_spanned! {span=>
                for record in ::sage_guest::__private::Records::records(answer) {
                    ::sage_guest::fields::OutputRows::push(out, record);
                }
            };
            let each = quote_spanned! {record.span()=>
                call.flat_map::<#record, _>(#[inline(always)] |record, out| -> ::core::result::Result<(), #error> {
                    let answer = #user;
                    #give
                    ::core::result::Result::Ok(())
                })
            };
            (quote!(FieldsFlatMap), each)
        }
        _ if operator.is_function => {
            let given = operator.checked.by_field.as_ref().and_then(|by_field| by_field.given.as_ref());
            let given = given.map_or_else(|| quote!(_), |ty| quote_spanned!(ty.span()=> #ty));
            let each = quote_spanned! {record.span()=>
                call.map_together::<#record, #given>(#[inline(always)] |record| -> ::core::result::Result<_, #error> {
                    ::core::result::Result::Ok(#user)
                })
            };
            (quote!(FieldsMap), each)
        }
        _ => {
            let give = quote_spanned!(span=> ::sage_guest::fields::Slot::put(slot, answer));
            let each = quote_spanned! {record.span()=>
                call.map::<#record, _>(#[inline(always)] |record, slot| -> ::core::result::Result<(), #error> {
                    let answer = #user;
                    #give;
                    ::core::result::Result::Ok(())
                })
            };
            (quote!(FieldsMap), each)
        }
    };
    quote! {
        impl ::sage_guest::operator::#kind for #ty {
            #open

            fn call(&mut self, call: ::sage_guest::fields::TableCall<'_>) {
                #each
            }

            #close
        }
    }
}
