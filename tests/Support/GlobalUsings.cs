global using PureQLora.Testing;
