// A token that was pasted before this page forgot them is not left lying about.
localStorage.removeItem("authorized");

// Nothing leaves this machine: no validator badge, no spec from elsewhere.
SwaggerUIBundle({
  url: "/v1/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  displayRequestDuration: true,
  persistAuthorization: false, // a token that was pasted is gone with the page
  tryItOutEnabled: true,
  validatorUrl: null,
});
