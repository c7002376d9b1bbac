namespace ILGPU;

/// <summary>How far apart the elements of a view with one axis are.</summary>
public interface IStride1D
{
    /// <summary>Elements from one to the next.</summary>
    int StrideExtent { get; }
}
