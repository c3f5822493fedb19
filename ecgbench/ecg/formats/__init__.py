"""Files -> `RawEcg`: one thin module a family of formats, the reading itself left to well-kept libraries."""
