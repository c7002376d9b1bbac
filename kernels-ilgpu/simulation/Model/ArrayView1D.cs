using System.Runtime.CompilerServices;

namespace ILGPU.Runtime;

/// <summary>A view with a stride in its type. Only dense ones are simulated.</summary>
/// <typeparam name="T">Element type.</typeparam>
/// <typeparam name="TStride">The stride.</typeparam>
public readonly record struct ArrayView1D<T, TStride>
    where T : unmanaged
    where TStride : struct, IStride1D
{
    /// <summary>A view of the elements of another one.</summary>
    /// <param name="baseView">All elements.</param>
    internal ArrayView1D(ArrayView<T> baseView) => BaseView = baseView;

    /// <summary>The view without its stride.</summary>
    public ArrayView<T> BaseView { get; }

    /// <inheritdoc cref="ArrayView{T}.Length"/>
    public long Length => BaseView.Length;

    /// <inheritdoc cref="ArrayView{T}.IntLength"/>
    public int IntLength => BaseView.IntLength;

    /// <inheritdoc cref="ArrayView{T}.LengthInBytes"/>
    public long LengthInBytes => BaseView.LengthInBytes;

    /// <inheritdoc cref="ArrayView{T}.Extent"/>
    public LongIndex1D Extent => BaseView.Extent;

    /// <inheritdoc cref="ArrayView{T}.IntExtent"/>
    public Index1D IntExtent => BaseView.IntExtent;

    /// <inheritdoc cref="ArrayView{T}.IsValid"/>
    public bool IsValid => BaseView.IsValid;

    /// <inheritdoc cref="ArrayView{T}.this[int, string, int]"/>
    public T this[int index, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0]
    {
        get => BaseView[index, file, line];
        set
        {
            ArrayView<T> view = BaseView;
            view[index, file, line] = value;
        }
    }

    /// <inheritdoc cref="ArrayView{T}.this[int, string, int]"/>
    public T this[long index, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0]
    {
        get => BaseView[index, file, line];
        set
        {
            ArrayView<T> view = BaseView;
            view[index, file, line] = value;
        }
    }

    /// <inheritdoc cref="ArrayView{T}.this[int, string, int]"/>
    public T this[Index1D index, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0]
    {
        get => this[index.X, file, line];
        set
        {
            ArrayView<T> view = BaseView;
            view[index.X, file, line] = value;
        }
    }

    /// <inheritdoc cref="ArrayView{T}.SubView(long, long, string, int)"/>
    public ArrayView1D<T, TStride> SubView(long index, long extent, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        new(BaseView.SubView(index, extent, file, line));
}
