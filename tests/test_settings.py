"""Settings: what is read from where, what is refused, and that a refusal names every wrong value.

The generated pages about settings are compared with their files in `house/test_docs.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bursar.errors import ConfigurationError
from bursar.settings import Settings, form_of, load_settings, meaning_of, names_of


def refused(environ: dict[str, str], **overrides: object) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ, None, **overrides)
    return caught.value


def test_nothing_given_gives_the_documented_defaults() -> None:
    settings = load_settings({})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 8000, Path("bursar-data"))
    assert settings.max_body_bytes == 16 * 1024 * 1024


def test_a_setting_cannot_change_after_the_start() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1  # pyright: ignore[reportAttributeAccessIssue] -- the point of the test


def test_an_override_beats_the_environment_which_beats_the_env_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("BURSAR_PORT=1\nBURSAR_HOST=::1\nBURSAR_LOG_LEVEL=debug\n")
    settings = load_settings({"BURSAR_PORT": "2", "BURSAR_HOST": "localhost"}, env_file, port=3)
    assert (settings.port, settings.host, settings.log_level) == (3, "localhost", "debug")


def test_the_own_name_beats_the_name_of_other_tools_from_the_same_source() -> None:
    assert load_settings({"PORT": "1", "BURSAR_PORT": "2"}).port == 2
    assert load_settings({"PORT": "1"}).port == 1


def test_another_tools_name_in_the_environment_beats_the_env_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("BURSAR_PORT=1\n")
    assert load_settings({"PORT": "2"}, env_file).port == 2


def test_empty_variables_and_overrides_of_none_count_as_not_given() -> None:
    settings = load_settings({"BURSAR_ADMIN_KEY": "", "API_KEY": "  "}, port=None)
    assert (settings.admin_key, settings.api_key, settings.port) == (None, None, 8000)


def test_the_process_environment_and_its_env_file_are_read_when_none_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("BURSAR_MAX_PAST_DAYS=7\n")
    monkeypatch.setenv("BURSAR_PORT", "4321")
    settings = load_settings()
    assert (settings.port, settings.max_past_days) == (4321, 7)


def test_a_password_with_a_dollar_survives_the_env_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("DATABASE_URL='postgresql://me:pa$HOME@db/bursar'\n")
    assert load_settings({"HOME": "/"}, env_file).database_url == "postgresql+psycopg://me:pa$HOME@db/bursar"


def test_every_wrong_value_is_named_with_its_variable_its_value_and_the_allowed_form() -> None:
    error = refused({"PORT": "eighty", "BURSAR_MAX_BODY_BYTES": "12 apples"}, max_past_days=-1)
    assert [reason.field for reason in error.reasons] == [
        "PORT",
        "BURSAR_MAX_BODY_BYTES",
        "BURSAR_MAX_PAST_DAYS",
    ]
    assert str(error) == (
        "3 settings are wrong:\n"
        "  PORT=eighty is wrong: use a whole number from 0 to 65535\n"
        "  BURSAR_MAX_BODY_BYTES=12 apples is wrong: "
        "use a size such as 64MiB, 1GiB or 1048576 (bytes), at least 1KiB\n"
        "  BURSAR_MAX_PAST_DAYS=-1 is wrong: use a whole number from 0 to 3650"
    )


def test_an_unknown_variable_is_refused_with_the_nearest_known_name() -> None:
    error = refused({"BURSAR_PROT": "1"})
    assert str(error) == "A setting is wrong:\n  BURSAR_PROT is not a setting; did you mean BURSAR_PORT?"
    assert error.reasons[0].code == "unknown_setting"


def test_a_name_near_to_none_is_refused_with_a_pointer_to_the_list() -> None:
    assert "docs/reference/settings.md" in str(refused({"BURSAR_QQQQ": "1"}))


def test_an_unknown_override_is_refused() -> None:
    assert str(refused({}, prot=1)) == "A setting is wrong:\n  prot is not a setting"


@pytest.mark.parametrize(
    "name", ["BURSAR_SERVICE_HOST", "BURSAR_API_SERVICE_PORT_HTTP", "BURSAR_PORT_8000_TCP_ADDR", "BURSAR_URL"]
)
def test_variables_meant_for_others_are_left_alone(name: str) -> None:
    assert load_settings({name: "10.0.0.1"}) == Settings()


@pytest.mark.parametrize("name", ["BURSAR_ADMIN_KEY", "API_KEY", "BURSAR_INGEST_KEY"])
def test_a_key_is_never_shown_not_even_a_wrong_one(name: str) -> None:
    assert "s p a c e d" not in str(refused({name: "s p a c e d"}))
    settings = load_settings({name: "a-secret-of-mine"})
    assert "a-secret-of-mine" not in repr(settings)
    assert "***" in settings.shown().values()
    assert "a-secret-of-mine" not in str(settings.shown())


@pytest.mark.parametrize("url", ["mysql://me:hunter2@db/x", "oracle://me:hun@hunter2@db/x"])
def test_a_password_in_a_url_is_never_shown(url: str) -> None:
    error = refused({"DATABASE_URL": url})
    assert "hunter2" not in str(error)
    assert "***@db/x" in str(error)
    settings = load_settings({"DATABASE_URL": "postgresql://me:hunter2@db/x"})
    assert "hunter2" not in repr(settings)
    assert settings.shown()["database_url"] == "postgresql+psycopg://me:***@db/x"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg2"])
def test_a_postgresql_url_written_for_any_driver_is_taken(scheme: str) -> None:
    settings = load_settings({"DATABASE_URL": f"{scheme}://user:pass@localhost:5432/usage_tracking"})
    assert settings.database_url == "postgresql+psycopg://user:pass@localhost:5432/usage_tracking"


@pytest.mark.parametrize(
    ("written", "size"), [("4096", 4096), ("64MiB", 64 << 20), ("1 GB", 10**9), ("0.5GiB", 1 << 29)]
)
def test_sizes_are_written_as_people_write_them(written: str, size: int) -> None:
    environ = {"BURSAR_MAX_BODY_BYTES": "4KiB", "BURSAR_PENDING_BYTES_LIMIT": "2GiB"}
    assert load_settings({**environ, "BURSAR_MAX_INFLATED_BYTES": written}).max_inflated_bytes == size


@pytest.mark.parametrize("written", ["128MB", "0.1GB", "255 MB", "1KB"])
def test_a_usage_store_must_have_memory_to_be_derived_in(written: str) -> None:
    assert "256MB at least" in str(refused({"BURSAR_DUCKDB_MEMORY_LIMIT": written}))
    assert load_settings({"BURSAR_DUCKDB_MEMORY_LIMIT": "256MB"}).duckdb_memory_limit == "256MB"


@given(size=st.integers(min_value=1024, max_value=2**40))
def test_a_shown_size_reads_back_as_itself(size: int) -> None:
    settings = Settings.model_validate({"segment_bytes": max(size, 64 * 1024)})
    assert load_settings({"BURSAR_SEGMENT_BYTES": settings.shown()["segment_bytes"]}) == settings


def test_words_are_taken_in_any_case() -> None:
    settings = load_settings({"LOG_LEVEL": "WARNING", "BURSAR_LOG_FORMAT": "Json"})
    assert (settings.log_level, settings.log_format) == ("warning", "json")


def test_production_refuses_anonymous_access_and_short_keys_at_once() -> None:
    error = refused(
        {"BURSAR_ENVIRONMENT": "production", "BURSAR_ANONYMOUS_LOOPBACK": "true", "API_KEY": "short-key"}
    )
    assert [reason.field for reason in error.reasons] == ["BURSAR_ANONYMOUS_LOOPBACK", "BURSAR_API_KEY"]
    assert {reason.code for reason in error.reasons} == {"contradiction"}


@pytest.mark.parametrize(("host", "is_fine"), [("localhost", True), ("::1", True), ("0.0.0.0", False)])
def test_anonymous_access_needs_a_loopback_address(host: str, is_fine: bool) -> None:  # noqa: FBT001 -- a table
    environ = {"BURSAR_ANONYMOUS_LOOPBACK": "yes", "BURSAR_HOST": host}
    if is_fine:
        assert load_settings(environ).anonymous_loopback
    else:
        assert "loopback" in str(refused(environ))


def test_an_ingest_key_that_is_an_admin_key_is_refused() -> None:
    assert "BURSAR_INGEST_KEY" in str(refused({"API_KEY": "the-same-key", "INGEST_KEY": "the-same-key"}))


def test_limits_that_let_no_large_body_in_are_refused() -> None:
    error = refused({"BURSAR_MAX_INFLATED_BYTES": "1MiB", "BURSAR_PENDING_BYTES_LIMIT": "1MiB"})
    assert [reason.field for reason in error.reasons] == ["BURSAR_MAX_INFLATED_BYTES"]
    error = refused({"BURSAR_PENDING_BYTES_LIMIT": "1MiB"})
    assert [reason.field for reason in error.reasons] == ["BURSAR_PENDING_BYTES_LIMIT"]


def test_contradictions_are_refused_also_without_an_environment() -> None:
    with pytest.raises(ValidationError, match="BURSAR_ANONYMOUS_LOOPBACK"):
        Settings(environment="production", anonymous_loopback=True)


def test_zero_query_threads_mean_twice_the_cores() -> None:
    assert Settings(query_threads=3).query_thread_count == 3
    assert Settings().query_thread_count >= 2


def test_a_home_folder_is_resolved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_settings({"BURSAR_DATA_DIR": "~/ledger"}).data_dir == tmp_path / "ledger"


@pytest.mark.parametrize("field", list(Settings.model_fields))
def test_every_setting_has_a_meaning_a_form_and_a_name(field: str) -> None:
    assert meaning_of(field).endswith(".")
    assert form_of(field)
    assert names_of(field)[0] == f"BURSAR_{field.upper()}"
