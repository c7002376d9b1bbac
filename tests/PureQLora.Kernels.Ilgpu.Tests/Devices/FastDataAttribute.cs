using System.Reflection;
using Xunit.Sdk;
using Xunit.v3;

namespace PureQLora.Kernels.Tests;

/// <summary>A row of data for devices that are fast enough (<see cref="TestDevice.IsFast"/>): skipped on ILGPU's CPU accelerator.</summary>
/// <param name="data">The arguments.</param>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
public sealed class FastDataAttribute(params object?[] data) : DataAttribute
{
    /// <summary>The arguments.</summary>
    public object?[] Data { get; } = data;

    public override ValueTask<IReadOnlyCollection<ITheoryDataRow>> GetData(MethodInfo testMethod, DisposalTracker disposalTracker) =>
        new([new TheoryDataRow(Data) { Skip = TestDevice.IsFast ? null : TestDevice.Slow }]);

    public override bool SupportsDiscoveryEnumeration() => true;
}
