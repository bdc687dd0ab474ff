// A page's passkey button: django-allauth's script calls the browser, and this one shows what went wrong.
"use strict";

(function () {
  const button = document.querySelector("[data-passkey]");
  const trouble = document.getElementById("passkey-trouble");
  const options = JSON.parse(document.getElementById("passkey-options").textContent);

  function say(text) {
    trouble.textContent = text;
    trouble.hidden = !text;
  }

  if (!window.PublicKeyCredential) {
    say("This browser, or a connection without https, does not support passkeys. Choose a different method.");
    return;
  }
  const reasons = {
    NotAllowedError: "The passkey was not used: it was cancelled, or took too long. Try again.",
    InvalidStateError: "This device has a passkey for your account already.",
  };
  document.addEventListener("allauth.error", (event) => {
    event.preventDefault();
    say(reasons[event.detail.exception.name] || "The passkey did not work. Try again, or choose a different method.");
    button.focus();
  });
  button.addEventListener("click", () => say(""));
  // Ignores Enter in the name field: without a passkey there is nothing to submit.
  button.form.addEventListener("submit", (event) => { event.preventDefault(); button.click(); });
  window.allauth.webauthn.forms[button.dataset.passkey]({
    ids: { credential: "id_credential", add: "passkey", authenticate: "passkey" },
    data: { creation_options: options, request_options: options },
  });
  // Until here a click would have been lost.
  button.disabled = false;
  if (button.autofocus) button.focus();
})();
