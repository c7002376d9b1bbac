#pragma warning disable IDE0005 // not every test project reads files
global using PureQLora.Testing;
