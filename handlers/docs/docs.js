// The page /docs: Swagger UI for the OpenAPI document, with a session that later requests use.
"use strict";

(() => {
  // What a login or a refresh returned last. It stays in the memory of this page. In localStorage it would
  // outlive the page, for any later script of this origin to read.
  let tokens = null;
  let ui = null;
  let alarm = 0; // the timer that shows the end of the access token
  const state = document.getElementById("state");
  const bodies = ["/auth/refresh", "/auth/logout"]; // that take the refresh token

  // sessionId reads the access token. This page shows the id; the server checks it.
  function sessionId() {
    const claims = tokens.access_token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(atob(claims)).sid;
  }

  function show() {
    clearTimeout(alarm);
    if (!tokens) {
      state.className = "";
      state.textContent = "Not logged in.";
      return;
    }
    const left = tokens.ends - Date.now();
    const time = new Date(tokens.ends).toLocaleTimeString("en-GB");
    const more = document.createElement("span");
    more.className = "more";
    more.textContent = ` Session ${sessionId()}.`;
    state.className = left > 0 ? "alive" : "expired";
    state.replaceChildren(left > 0
      ? `Logged in. The access token works until ${time}; then refresh.`
      : "The access token has expired. Refresh to go on.", more);
    if (left > 0) alarm = setTimeout(show, left);
  }

  function fillBody(path) {
    const pathMethod = [path, "post"];
    const value = JSON.stringify({ refresh_token: tokens.refresh_token }, null, 2);
    ui.oas3Actions.setRequestBodyValue({ value, pathMethod });
    ui.oas3Actions.setRetainRequestBodyValueFlag({ value: true, pathMethod }); // when the operation is opened
  }

  // fillSession puts the id into the parameter of "End one of your sessions". Swagger UI knows a parameter by
  // its name until its operation has been opened, and by its whole description afterwards.
  function fillSession(id) {
    const operation = ["/auth/sessions/{id}", "delete"];
    const opened = ui.specSelectors.specResolvedSubtree(["paths", ...operation])?.getIn(["parameters", 0]);
    if (opened) ui.specActions.changeParamByIdentity(operation, opened, id, false);
    else ui.specActions.changeParam(operation, "id", "path", id, false);
  }

  function begin(answer) {
    tokens = { ...answer, ends: Date.now() + answer.expires_in * 1000 }; // by the clock of this machine
    ui.preauthorizeApiKey("bearer", tokens.access_token);
    bodies.forEach(fillBody);
    fillSession(sessionId());
    show();
  }

  function end() {
    tokens = null;
    ui.authActions.logout(["bearer"]);
    show();
  }

  // fillListed takes the session that somebody wants to end most likely: another one than this, if one lives.
  function fillListed(sessions) {
    const alive = sessions.filter((s) => s.ended_at === null);
    const one = alive.find((s) => !s.current) ?? alive[0];
    if (one) fillSession(one.id);
  }

  // learn finds out what an answer means for the session.
  function learn(response) {
    const { pathname, searchParams } = new URL(response.url, location.href);
    const body = response.body ?? {};
    if (response.status === 401 && body.code === "session_ended") end();
    if (!response.ok || !ui) return response;
    if (pathname === "/auth" || pathname === "/auth/refresh") begin(body);
    if (pathname === "/auth/sessions") fillListed(body.sessions);
    if (pathname === "/auth/logout" && searchParams.get("scope") !== "others") end();
    if (tokens && pathname === "/auth/sessions/" + sessionId()) end();
    return response;
  }

  // prepare leaves out HEAD and OPTIONS, which every path has, and the examples in place of which this page
  // puts a token.
  function prepare(document) {
    for (const operations of Object.values(document.paths)) {
      delete operations.head;
      delete operations.options;
    }
    for (const path of bodies) {
      delete document.paths[path]?.post?.requestBody.content["application/json"].examples;
    }
    return document;
  }

  // ourLook folds the introduction, which stands above the operations. It leaves out the list of servers,
  // because this page may ask no other one, and the form for a token, because a login fills it.
  const ourLook = () => ({
    wrapComponents: {
      InfoContainer: (Original, { React: { createElement } }) => (props) =>
        createElement("details", { className: "about" },
          createElement("summary", null, "About this API"), createElement(Original, props)),
      SchemesContainer: () => () => null,
      ServersContainer: () => () => null,
      AuthorizeBtnContainer: () => () => null,
    },
  });

  // reveal opens an operation and scrolls to it. Swagger UI's own way encodes a blank in a tag twice.
  function reveal(tag, operation) {
    ui.layoutActions.show(["operations-tag", tag], true);
    ui.layoutActions.show(["operations", tag, operation], true);
    requestAnimationFrame(() => {
      document.getElementById(`operations-${tag.replaceAll(" ", "_")}-${operation}`)?.scrollIntoView();
    });
  }

  function followLinks() {
    document.addEventListener("click", (event) => {
      const link = event.target.closest("main > .start a[href^='#/']");
      if (!link) return;
      event.preventDefault();
      reveal(...decodeURIComponent(link.hash.slice(2)).split("/"));
    });
  }

  function followColours() {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const apply = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
    dark.addEventListener("change", apply);
    apply();
  }

  // main begins before Swagger UI is there, so that the document arrives meanwhile.
  async function main() {
    followColours();
    const ready = new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve));
    const response = await fetch("/openapi.json");
    const spec = prepare(await response.json());
    await ready;
    ui = SwaggerUIBundle({
      spec,
      domNode: document.getElementById("reference"),
      deepLinking: true,
      defaultModelsExpandDepth: -1,
      displayRequestDuration: true,
      tryItOutEnabled: true,
      validatorUrl: null,
      responseInterceptor: learn,
      plugins: [ourLook],
    });
    followLinks();
  }

  main().catch((error) => {
    state.className = "expired";
    state.textContent = `This page does not work: ${error.message}`;
  });
})();
