use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::kind::Kind;
use crate::operator::{Config, Operator, tried};
use crate::{expand_fields, expand_rows};

/// Generates the user's code, the implementation of the kind's trait, and the exports of the kind's world.
pub(crate) fn expand(operator: &Operator) -> TokenStream {
    let definition = &operator.definition;
    let implementation = match operator.kind {
        Kind::Process | Kind::Source | Kind::Sink if operator.checked.by_field.is_some() => expand_rows::kind(operator),
        _ if operator.checked.by_field.is_some() => expand_fields::kind(operator),
        Kind::Map => map(operator),
        Kind::KeyBy => {
            record_kind(operator, &quote!(KeyBy), &quote!(key), &quote!(, out: &mut ::std::vec::Vec<u8>), &quote!(()))
        }
        Kind::Filter => record_kind(operator, &quote!(Filter), &quote!(keep), &quote!(), &quote!(bool)),
        Kind::FlatMap => record_kind(
            operator,
            &quote!(FlatMap),
            &quote!(flat_map),
            &quote!(, out: &mut ::sage_guest::operator::Rows),
            &quote!(()),
        ),
        Kind::Process => process(operator),
        // `window` expands its own block, which has three methods.
        Kind::Window => TokenStream::new(),
        Kind::Source => source(operator),
        Kind::Sink => sink(operator),
    };
    let description = description(operator);
    let export = export(operator);
    quote! {
        #definition
        #implementation
        #description
        #export
    }
}

/// Generates the operator's description, as a constant.
fn description(operator: &Operator) -> TokenStream {
    let ty = &operator.ty;
    let docs = &operator.described.docs;
    let stateful = operator.described.stateful;
    let config = match &operator.described.config {
        Config::None => quote!(::sage_guest::__private::NO_CONFIG),
        Config::Maybe(ty) => quote_spanned!(ty.span()=> {
            #[allow(unused_imports)]
            use ::sage_guest::__private::Undescribed as _;
            ::sage_guest::__private::Probe::<#ty>::SCHEMA
        }),
        Config::Described(ty) => quote_spanned!(ty.span()=> <#ty as ::sage_guest::Describe>::SCHEMA),
        Config::Unknown => quote!(&::sage_guest::description::Schema::Any),
    };
    let fields = expand_fields::description(operator);
    quote! {
        impl ::sage_guest::operator::Described for #ty {
            const DESCRIPTION: ::sage_guest::description::Description = ::sage_guest::description::Description {
                docs: #docs,
                stateful: #stateful,
                config: #config,
                fields: #fields,
            };
        }
    }
}

/// Generates a `map`. The implementation returns borrowed bytes where possible, and returns the record itself
/// if the user's code changes it in place.
fn map(operator: &Operator) -> TokenStream {
    let ty = &operator.ty;
    let open = open(operator, &quote!());
    let close = close(operator);
    let call = tried(operator.call.clone(), operator.checked.fallible);
    let span = operator.checked.answer;
    let map = if operator.checked.in_place {
        quote! {
            let record = &mut *payload;
            let () = #call;
            ::core::result::Result::Ok(::core::option::Option::Some(payload))
        }
    } else {
        let read = read(operator, &quote!(FromPayload), &quote!(from_payload), &quote!(payload));
        let give = quote_spanned!(span=> ::sage_guest::IntoPayload::lend_or_write(answer, out));
        quote! {
            #read
            let answer = #call;
            #give
        }
    };
    quote! {
        impl ::sage_guest::operator::Map for #ty {
            #open

            #[inline(always)]
            #[allow(unused_variables)]
            fn map<'p>(
                &'p mut self,
                payload: &'p mut [u8],
                out: &mut ::std::vec::Vec<u8>,
            ) -> ::core::result::Result<::core::option::Option<&'p [u8]>, ::sage_guest::Error> {
                #map
            }

            #close
        }
    }
}

/// Generates a kind that sees payloads one by one.
fn record_kind(
    operator: &Operator,
    kind: &TokenStream,
    method: &TokenStream,
    out: &TokenStream,
    answer: &TokenStream,
) -> TokenStream {
    let ty = &operator.ty;
    let open = open(operator, &quote!());
    let close = close(operator);
    let read = read(operator, &quote!(FromPayload), &quote!(from_payload), &quote!(payload));
    let call = tried(operator.call.clone(), operator.checked.fallible);
    let span = operator.checked.answer;
    let give = match operator.kind {
        Kind::Filter => {
            quote_spanned!(span=> ::core::result::Result::Ok(::sage_guest::__private::Verdict::keep(answer)))
        }
        Kind::FlatMap => quote_spanned! {span=>
            for record in ::sage_guest::__private::Records::records(answer) {
                ::sage_guest::operator::Rows::push(out, record)?;
            }
            ::core::result::Result::Ok(())
        },
        _ => quote_spanned!(span=> ::sage_guest::IntoPayload::write(answer, out)),
    };
    quote! {
        impl ::sage_guest::operator::#kind for #ty {
            #open

            #[inline]
            fn #method(&mut self, payload: &[u8] #out) -> ::core::result::Result<#answer, ::sage_guest::Error> {
                #read
                let answer = #call;
                #give
            }

            #close
        }
    }
}

fn process(operator: &Operator) -> TokenStream {
    let ty = &operator.ty;
    let ports = &operator.ports;
    let open = open(operator, &quote!(, tables: &mut ::sage_guest::state::Tables));
    let close = close(operator);
    let call = tried(operator.call.clone(), operator.checked.fallible);
    let process = if operator.whole {
        let records = read_all(operator);
        quote! {
            #records
            let () = #call;
            ::core::result::Result::Ok(())
        }
    } else {
        let read = read(operator, &quote!(FromRecord), &quote!(from_record), &quote!(record));
        quote! {
            call.each(#[inline(always)] |record, out| -> ::core::result::Result<(), ::sage_guest::Error> {
                #read
                let () = #call;
                ::core::result::Result::Ok(())
            });
            ::core::result::Result::Ok(())
        }
    };
    let end = operator.hooks.end.as_ref().map(|end| {
        quote! {
            fn end(&mut self, out: &mut ::sage_guest::Emitter) -> ::core::result::Result<(), ::sage_guest::Error> {
                let () = #end;
                ::core::result::Result::Ok(())
            }
        }
    });
    quote! {
        impl ::sage_guest::operator::Process for #ty {
            const PORTS: &'static [&'static str] = #ports;

            #open

            #[inline]
            fn process(
                &mut self,
                call: ::sage_guest::operator::Call<'_>,
            ) -> ::core::result::Result<(), ::sage_guest::Error> {
                #process
            }

            #end
            #close
        }
    }
}

fn source(operator: &Operator) -> TokenStream {
    let ty = &operator.ty;
    let ports = &operator.ports;
    let open = open(operator, &quote!());
    let close = close(operator);
    let call = tried(operator.call.clone(), operator.checked.fallible);
    let replay = replay(operator);
    quote! {
        impl ::sage_guest::operator::Source for #ty {
            const PORTS: &'static [&'static str] = #ports;

            #open

            fn next(
                &mut self,
                out: &mut ::sage_guest::Emitter,
            ) -> ::core::result::Result<::sage_guest::Progress, ::sage_guest::Error> {
                ::core::result::Result::Ok(#call)
            }

            #replay
            #close
        }
    }
}

/// Generates `position` and `seek` of a source.
pub(crate) fn replay(operator: &Operator) -> Option<TokenStream> {
    operator.hooks.replay.as_ref().map(|replay| {
        let position = &replay.position;
        let seek = &replay.seek;
        let position_type = &replay.position_type;
        quote! {
            fn position(&self, out: &mut ::std::vec::Vec<u8>) -> ::core::result::Result<(), ::sage_guest::Error> {
                let position = #position;
                ::sage_guest::IntoPayload::write(position, out)
            }

            fn seek(&mut self, position: &[u8]) -> ::core::result::Result<(), ::sage_guest::Error> {
                let position = <#position_type as ::sage_guest::FromPayload<'_>>::from_payload(position)?;
                let () = #seek;
                ::core::result::Result::Ok(())
            }
        }
    })
}

/// Generates `flush` of a sink.
pub(crate) fn flush(operator: &Operator) -> Option<TokenStream> {
    operator.hooks.flush.as_ref().map(|flush| {
        quote! {
            fn flush(&mut self) -> ::core::result::Result<(), ::sage_guest::Error> {
                let () = #flush;
                ::core::result::Result::Ok(())
            }
        }
    })
}

fn sink(operator: &Operator) -> TokenStream {
    let ty = &operator.ty;
    let open = open(operator, &quote!());
    let close = close(operator);
    let read = read(operator, &quote!(FromRecord), &quote!(from_record), &quote!(record));
    let call = tried(operator.call.clone(), operator.checked.fallible);
    let flush = flush(operator);
    quote! {
        impl ::sage_guest::operator::Sink for #ty {
            #open

            #[inline]
            fn write(
                &mut self,
                record: ::sage_guest::Record<'_, &[u8]>,
            ) -> ::core::result::Result<(), ::sage_guest::Error> {
                #read
                let () = #call;
                ::core::result::Result::Ok(())
            }

            #flush
            #close
        }
    }
}

pub(crate) fn open(operator: &Operator, parameters: &TokenStream) -> TokenStream {
    let open = &operator.open;
    quote! {
        #[allow(unused_variables)]
        fn open(context: &::sage_guest::Context #parameters) -> ::core::result::Result<Self, ::sage_guest::Error> {
            ::core::result::Result::Ok(#open)
        }
    }
}

pub(crate) fn close(operator: &Operator) -> Option<TokenStream> {
    operator.hooks.close.as_ref().map(|close| {
        quote! {
            fn close(self) {
                #close;
            }
        }
    })
}

/// Generates `let record = ..`. Errors about the type point to the type in the user's code.
fn read(operator: &Operator, of: &TokenStream, function: &TokenStream, from: &TokenStream) -> Option<TokenStream> {
    let ty = operator.checked.record.as_ref()?;
    Some(quote_spanned! {ty.span()=>
        let record = <#ty as ::sage_guest::#of<'_>>::#function(#from)?;
    })
}

/// Generates `let records = ..` for a whole batch, in the same way.
fn read_all(operator: &Operator) -> Option<TokenStream> {
    let ty = operator.checked.record.as_ref()?;
    Some(quote_spanned! {ty.span()=>
        let ::core::option::Option::Some(records) = ::sage_guest::operator::Call::read::<#ty>(call) else {
            return ::core::result::Result::Ok(());
        };
    })
}

fn export(operator: &Operator) -> TokenStream {
    let ty = &operator.ty;
    let world = match operator.kind {
        Kind::Map if operator.checked.by_field.is_some() => quote!(fields_map),
        Kind::Filter if operator.checked.by_field.is_some() => quote!(fields_filter),
        Kind::FlatMap if operator.checked.by_field.is_some() => quote!(fields_flat_map),
        Kind::KeyBy if operator.checked.by_field.is_some() => quote!(fields_key_by),
        Kind::Process if operator.checked.by_field.is_some() => quote!(fields_process),
        Kind::Source if operator.checked.by_field.is_some() => quote!(fields_source),
        Kind::Sink if operator.checked.by_field.is_some() => quote!(fields_sink),
        Kind::Map => quote!(map),
        Kind::Filter => quote!(filter),
        Kind::FlatMap => quote!(flat_map),
        Kind::KeyBy => quote!(key_by),
        Kind::Process => quote!(process),
        Kind::Window => quote!(window),
        Kind::Source => quote!(source),
        Kind::Sink => quote!(sink),
    };
    quote! {
        #[cfg(target_arch = "wasm32")]
        ::sage_guest::__export!(#world #ty);
    }
}
