"""Names under which secrets and the text of prompts and answers travel, however they are spelled.

A name is compared by its letters and digits alone, so `system_prompt`, `System-Prompt` and `systemPrompt` are
one, and so is `prompt_2` `prompt`. Of a name in parts (`gen_ai.prompt.0.content`, `messages[0]`) the last
that is no number counts as well. Only what people call such things can be known: a prompt under the name
`remark` is a remark.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

TEXT_NAMES = frozenset(
    (
        *("prompt", "prompts", "systemprompt", "userprompt", "prompttext", "promptmessages", "promptjson"),
        *("instructions", "systeminstruction", "systeminstructions", "systemmessage"),
        *("message", "messages", "usermessage", "assistantmessage", "conversation", "history", "chathistory"),
        *("dialog", "dialogue", "transcript", "transcription", "question", "query", "answer", "answers"),
        *(
            "input",
            "inputs",
            "inputtext",
            "inputmessages",
            "inputvalue",
            "userinput",
            "modelinput",
            "llminput",
        ),
        *("output", "outputs", "outputtext", "outputmessages", "outputvalue", "modeloutput", "llmoutput"),
        *("useroutput", "completion", "completions", "completiontext", "generation", "generations"),
        *("generatedtext", "response", "responses", "responsetext", "reply", "choices", "candidates"),
        *("content", "contents", "contentblocks", "text", "texts", "parts", "documents", "chunks"),
        *("reasoning", "reasoningcontent", "reasoningtext", "thinking", "thinkingtext", "thoughts"),
        *(
            "toolcalls",
            "toolcall",
            "functioncall",
            "functioncalls",
            "arguments",
            "toolarguments",
            "toolinput",
        ),
        *("tooloutput", "toolresult", "toolresults", "tooluse", "toolcallarguments", "toolcallresult"),
        *("request", "requestbody", "responsebody", "rawrequest", "rawresponse", "body", "payload"),
        *("modelresponse", "airesponse", "llmresponse", "modelanswer"),
    )
)
"""Names of what people wrote to a model or got from it: the fields of the providers' own requests and
answers, of OpenTelemetry's `gen_ai`, of OpenInference, and what people call them otherwise."""
SECRET_NAMES = frozenset(
    (
        *("password", "passwd", "passphrase", "secret", "clientsecret", "secretkey", "secretaccesskey"),
        *("apikey", "xapikey", "accesskey", "accesstoken", "refreshtoken", "idtoken", "authtoken"),
        *("bearertoken", "authorization", "proxyauthorization", "cookie", "setcookie", "privatekey"),
        *("credential", "credentials", "connectionstring", "databaseurl", "dsn", "pwd", "jwt"),
    )
)
"""Names of what opens something."""
_TEXT_ENDINGS = (
    *("prompt", "prompts", "prompttext", "usermessage", "assistantmessage", "messagecontent"),
    *("responsetext", "responsecontent", "transcript"),
)
_SECRET_ENDINGS = (
    *("apikey", "apikeys", "password", "passwd", "passphrase", "secret", "secretkey", "accesskey"),
    *("accountkey", "subscriptionkey", "privatekey", "signingkey", "encryptionkey", "connectionstring"),
    *("accesstoken", "refreshtoken", "authtoken", "bearertoken", "sessiontoken", "securitytoken", "bottoken"),
)
"""So that `AZURE_OPENAI_API_KEY` and `db_password` are what they say, whoever's they are."""
_TEXT_BEGINNINGS = (
    *("gen_ai.prompt", "gen_ai.completion", "gen_ai.input", "gen_ai.output", "gen_ai.system_instructions"),
    *("gen_ai.tool.call", "llm.prompt", "llm.completion", "llm.input", "llm.output", "traceloop.entity"),
    *("ai.prompt", "ai.response.text", "ai.response.object", "ai.toolcall"),
)
"""Beginnings of attributes that tracing libraries flatten texts into."""
_BESIDES_LETTERS = re.compile(r"[\W_]+")
_BETWEEN_PARTS = re.compile(r"[./:\[\]\s]+")


@lru_cache(maxsize=4096)
def is_text_name(name: str) -> bool:
    """Whether what has this name is the text of a prompt or an answer."""
    return _is_among(name, TEXT_NAMES, _TEXT_ENDINGS) or name.lower().startswith(_TEXT_BEGINNINGS)


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether what has this name opens something."""
    return _is_among(name, SECRET_NAMES, _SECRET_ENDINGS)


def _is_among(name: str, names: frozenset[str], endings: tuple[str, ...]) -> bool:
    lower = unicodedata.normalize("NFKC", name).lower()
    parts = [part for part in _BETWEEN_PARTS.split(lower) if part and not part.isdecimal()]
    spellings = (_BESIDES_LETTERS.sub("", one).rstrip("0123456789") for one in ("".join(parts), *parts[-1:]))
    return any(one in names or one.endswith(endings) for one in spellings)
