using System.Diagnostics.CodeAnalysis;

namespace ILGPU;

/// <summary>Strides of views with one axis.</summary>
public static class Stride1D
{
    /// <summary>One element after the other.</summary>
    [SuppressMessage("Design", "CA1034", Justification = "Nested in ILGPU.")]
    public readonly record struct Dense : IStride1D
    {
        /// <inheritdoc/>
        public int StrideExtent => 1;
    }
}
