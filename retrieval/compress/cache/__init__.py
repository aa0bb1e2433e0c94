"""Teacher embeddings on disk, in the folder layout of clip-retrieval.

``img_emb/img_emb_0.npy`` and ``text_emb/text_emb_0.npy`` hold float16 ``(rows, dim)``,
``metadata/metadata_0.parquet`` says what each row is, ``cache.json`` which teacher made it.
"""
