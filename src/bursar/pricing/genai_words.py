"""Which of our price units each price of genai-prices is, and for how many of it.

Its names say how prices are quoted (`input_mtok`), ours what they are a price of. A price that isn't
listed here keeps its name there; it then prices nothing that we count, and shows in the book.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_M, _K, _HOUR = 1_000_000, 1_000, 3_600

PRICE_WORDS: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "input_mtok": ("input_tokens", _M),
        "input_text_mtok": ("input_text", _M),
        "input_audio_mtok": ("input_audio", _M),
        "input_image_mtok": ("input_image", _M),
        "input_video_mtok": ("input_video", _M),
        "cache_read_mtok": ("cache_read_tokens", _M),
        "cache_text_read_mtok": ("cache_read_text", _M),
        "cache_audio_read_mtok": ("cache_read_audio", _M),
        "cache_image_read_mtok": ("cache_read_image", _M),
        "cache_write_mtok": ("cache_write_tokens", _M),
        "cache_write_5m_mtok": ("cache_write_5m", _M),
        "cache_write_1h_mtok": ("cache_write_1h", _M),
        "output_mtok": ("output_tokens", _M),
        "output_text_mtok": ("output_text", _M),
        "output_reasoning_mtok": ("output_reasoning", _M),
        "output_audio_mtok": ("output_audio", _M),
        "output_image_mtok": ("output_image", _M),
        "output_video_mtok": ("output_video", _M),
        "output_citation_mtok": ("output_citations", _M),
        "requests_kcount": ("requests", _K),
        "web_searches_kcount": ("searches", _K),
        "social_searches_kcount": ("social_searches", _K),
        "storage_searches_kcount": ("file_searches", _K),
        "rerank_searches_kcount": ("rerank_searches", _K),
        "code_executions_kcount": ("code_executions", _K),
        "input_document_kpages": ("pages", _K),
        "input_annotated_document_kpages": ("annotated_pages", _K),
        "input_text_messages_kcount": ("input_messages", _K),
        "audio_hours": ("audio_seconds", _HOUR),
        "input_audio_hours": ("seconds", _HOUR),
        "output_audio_hours": ("output_audio_seconds", _HOUR),
        "input_mchars": ("characters", _M),
        "input_gpixels": ("input_pixels", 1_000 * _M),
    }
)
"""Price of genai-prices to (price unit, so many of it)."""
