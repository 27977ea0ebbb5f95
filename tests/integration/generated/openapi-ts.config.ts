export default { input: "openapi.yaml", output: { path: "client", importFileExtension: ".js" } };
