//! The impl of `Reset`, written.
//!
//! What the compiler may refuse later has the span of the field's type or of its attribute's expression, so that the
//! error points there. That expression sees no local of ours.

use crate::action::{Action, refuse};
use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Error, Fields, GenericParam, Generics, Index, Member, Result, Type};
use syn::{WherePredicate, parse_quote_spanned};

/// A field, and what is to be done with it.
struct Field<'a> {
    member: Member,
    ty: &'a Type,
    action: Action,
}

/// The whole impl, or all errors at once.
pub(crate) fn reset(input: &DeriveInput) -> Result<TokenStream> {
    let fields = fields(struct_fields(input)?)?;
    let mut generics = input.generics.clone();
    let bounds = bounds(&fields, &input.generics);
    if !bounds.is_empty() {
        generics.make_where_clause().predicates.extend(bounds);
    }
    let (parameters, arguments, conditions) = generics.split_for_impl();
    let name = &input.ident;
    let keep = keep();
    let steps = fields.iter().map(Field::step);
    let retained = sum(&fields, &quote!(retained_bytes));
    let used = sum(&fields, &quote!(used_bytes));
    let poison = reset_fields(&fields).map(Field::poison);
    let clean = reset_fields(&fields).map(Field::clean);
    Ok(quote! {
        #[automatically_derived]
        impl #parameters ::ebbtide::Reset for #name #arguments #conditions {
            fn reset(&mut self) -> ::ebbtide::Verdict {
                let #keep = true;
                #(#steps)*
                if #keep { ::ebbtide::Verdict::Keep } else { ::ebbtide::Verdict::Discard }
            }
            fn retained_bytes(&self) -> usize {
                #retained
            }
            fn used_bytes(&self) -> usize {
                #used
            }
            fn poison(&mut self) {
                #(#poison)*
            }
            fn is_clean(&self) -> bool {
                true #(&& #clean)*
            }
        }
    })
}

/// The fields of a struct; an error for what is none, or has the attribute elsewhere.
fn struct_fields(input: &DeriveInput) -> Result<&Fields> {
    let (what, keyword) = match &input.data {
        Data::Struct(data) => {
            let parameters = input.generics.params.iter().map(attributes);
            parameters.chain([input.attrs.as_slice()]).try_for_each(refuse)?;
            return Ok(&data.fields);
        }
        Data::Enum(data) => ("an enum", data.enum_token.span()),
        Data::Union(data) => ("a union", data.union_token.span()),
    };
    let message = format!(
        "`Reset` cannot be derived for {what}: derive it on a struct, where a field of this type can be \
         `#[reset(default)]`, or implement it by hand"
    );
    Err(Error::new(keyword, message))
}

fn attributes(parameter: &GenericParam) -> &[Attribute] {
    match parameter {
        GenericParam::Lifetime(parameter) => &parameter.attrs,
        GenericParam::Type(parameter) => &parameter.attrs,
        GenericParam::Const(parameter) => &parameter.attrs,
    }
}

fn fields(fields: &Fields) -> Result<Vec<Field<'_>>> {
    let mut read = Vec::new();
    let mut errors: Option<Error> = None;
    for (at, field) in fields.iter().enumerate() {
        let member = field.ident.clone().map_or_else(|| Member::from(Index::from(at)), Member::from);
        match Action::read(&field.attrs) {
            Ok(action) => read.push(Field { member, ty: &field.ty, action }),
            Err(error) => match &mut errors {
                None => errors = Some(error),
                Some(errors) => errors.combine(error),
            },
        }
    }
    errors.map_or(Ok(read), Err)
}

/// What the fields ask of the parameters. A field of a type without parameters gets no bound: its type has the trait or
/// has it not, and the error for that belongs to the field.
fn bounds(fields: &[Field<'_>], generics: &Generics) -> Vec<WherePredicate> {
    let parameters: Vec<&Ident> = generics
        .params
        .iter()
        .filter_map(|parameter| match parameter {
            GenericParam::Type(parameter) => Some(&parameter.ident),
            GenericParam::Const(parameter) => Some(&parameter.ident),
            GenericParam::Lifetime(_) => None,
        })
        .collect();
    let generic = fields.iter().filter(|field| names(field.ty.to_token_stream(), &parameters));
    generic.filter_map(Field::bound).collect()
}

/// Whether the tokens name one of the parameters.
fn names(tokens: TokenStream, parameters: &[&Ident]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => parameters.contains(&&ident),
        TokenTree::Group(group) => names(group.stream(), parameters),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// The fields that know how to reset themselves.
fn reset_fields<'a>(fields: &'a [Field<'a>]) -> impl Iterator<Item = &'a Field<'a>> {
    fields.iter().filter(|field| matches!(field.action, Action::Reset))
}

/// The sum of `method` over the fields that count.
fn sum(fields: &[Field<'_>], method: &TokenStream) -> TokenStream {
    let terms = reset_fields(fields).map(|Field { member, ty, .. }| {
        let bytes = quote_spanned!(ty.span()=> <#ty as ::ebbtide::Reset>::#method(&self.#member));
        quote!(.saturating_add(#bytes))
    });
    quote!(0usize #(#terms)*)
}

/// The local that says whether the value is kept. Each step shadows the one before; its hygiene is that of
/// `macro_rules`, so the attributes' expressions cannot see it.
fn keep() -> Ident {
    Ident::new("keep", Span::mixed_site())
}

impl Field<'_> {
    /// The statement that resets the field.
    fn step(&self) -> TokenStream {
        let Self { member, ty, action } = self;
        let keep = keep();
        let verdict = match action {
            Action::Skip => return TokenStream::new(),
            Action::Default => {
                return quote_spanned! {ty.span()=> self.#member = <#ty as ::core::default::Default>::default(); };
            }
            Action::Reset => quote_spanned!(ty.span()=> <#ty as ::ebbtide::Reset>::reset(&mut self.#member)),
            Action::With(with) => {
                // A function pointer gives the closure's argument its type, and lets the closure capture nothing.
                // The expression stands before the locals, so it cannot see them either.
                // Clippy takes the unit of a silent one for the user's own, for it has the span of the expression.
                quote_spanned! {with.span()=> {
                    let call: fn(&mut #ty) -> _ = #with;
                    #[allow(clippy::let_unit_value)]
                    let answer = call(&mut self.#member);
                    ::core::convert::Into::<::ebbtide::Verdict>::into(answer)
                }}
            }
        };
        quote!(let #keep = ::core::matches!(#verdict, ::ebbtide::Verdict::Keep) & #keep;)
    }

    /// The statement that poisons the field.
    fn poison(&self) -> TokenStream {
        let Self { member, ty, .. } = self;
        quote_spanned!(ty.span()=> <#ty as ::ebbtide::Reset>::poison(&mut self.#member);)
    }

    /// Whether the field is as its reset left it.
    fn clean(&self) -> TokenStream {
        let Self { member, ty, .. } = self;
        quote_spanned!(ty.span()=> <#ty as ::ebbtide::Reset>::is_clean(&self.#member))
    }

    /// What the field asks of its type.
    fn bound(&self) -> Option<WherePredicate> {
        let ty = self.ty;
        match self.action {
            Action::Reset => Some(parse_quote_spanned!(ty.span()=> #ty: ::ebbtide::Reset)),
            Action::Default => Some(parse_quote_spanned!(ty.span()=> #ty: ::core::default::Default)),
            Action::With(_) | Action::Skip => None,
        }
    }
}
