using System.Runtime.CompilerServices;

namespace PureQLora.Kernels.Tests;

/// <summary>A test for devices that are fast enough (<see cref="TestDevice.IsFast"/>): skipped on ILGPU's CPU accelerator.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class FastFactAttribute : FactAttribute
{
    public FastFactAttribute([CallerFilePath] string? sourceFilePath = null, [CallerLineNumber] int sourceLineNumber = -1)
        : base(sourceFilePath, sourceLineNumber) => Skip = TestDevice.IsFast ? null : TestDevice.Slow;
}
