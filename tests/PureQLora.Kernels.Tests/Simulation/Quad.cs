namespace PureQLora.Kernels.Tests.Simulation;

/// <summary>An element of 16 bytes.</summary>
internal record struct Quad(float X, float Y, float Z, float W);
