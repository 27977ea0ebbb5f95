// Swagger UI over this installation's own description, which lies beside the page under whatever path a proxy adds.

window.SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  layout: "BaseLayout",
  deepLinking: true,
  showExtensions: true,
  showCommonExtensions: true,
  // A badge that asks validator.swagger.io, and tells it this address.
  validatorUrl: null,
  // What is typed into "Authorize" is gone with the page.
  persistAuthorization: false,
});
