namespace PureQLora.Core;

/// <summary>
/// Backend, arena and tape of one pass. Every tensor an operation makes belongs to the scope and ends with it; copy out what must
/// stay. A scope is for one thread at a time; the backend spreads the work itself.
/// </summary>
public sealed class ComputeScope : IDisposable
{
    private readonly Arena _arena;
    private readonly bool _ownsArena;
    private readonly Tape _tape = new();
    private readonly List<Tensor> _tensors = [];
    private int _tensorCount;
    private int _rerunStart;
    private int[] _hostInts = [];
    private int _hostIntCount;

    /// <summary>Opens a pass with an arena of its own.</summary>
    /// <param name="backend">Computes.</param>
    /// <param name="recordGradients">Record operations for <see cref="Backward(Tensor)"/>.</param>
    public ComputeScope(IBackend backend, bool recordGradients = false)
        : this(new Arena(backend), recordGradients) => _ownsArena = true;

    /// <summary>Opens a pass on an arena that is used again by later passes. Only one scope at a time may use it.</summary>
    /// <param name="arena">Memory of the pass.</param>
    /// <param name="recordGradients">Record operations for <see cref="Backward(Tensor)"/>.</param>
    public ComputeScope(Arena arena, bool recordGradients = false)
    {
        ArgumentNullException.ThrowIfNull(arena);
        (_arena, RecordsGradients) = (arena, recordGradients);
    }

    /// <summary>Computes every kernel of this pass.</summary>
    public IBackend Backend => _arena.Backend;

    /// <summary>Memory of this pass.</summary>
    public Arena Arena => _arena;

    /// <summary>True where operations are recorded for backward.</summary>
    public bool RecordsGradients { get; set; }

    /// <summary>
    /// True in the second run of a checkpointed block (<see cref="Checkpoint"/>), which only makes what backward reads. Nobody reads
    /// the block's result: an operation that is told that it ends the block records itself and leaves its values out.
    /// </summary>
    public bool ResultUnread { get; internal set; }

    /// <summary>Rounding of the operands of matrix products; float32 unless set.</summary>
    public Precision Precision { get; set; }

    /// <summary>Source of dropout masks.</summary>
    public RandomState Random { get; set; } = new(0);

    /// <summary>A tensor of this pass with undefined contents, to be written whole by a kernel.</summary>
    public Tensor New(Shape shape, DataType type = DataType.Float32)
    {
        (Storage block, long offset) = _arena.Take(checked(shape.Count * type.Size()));
        return Bind(shape, type, block, offset);
    }

    /// <summary>A zero-filled tensor of this pass.</summary>
    public Tensor Zeros(Shape shape, DataType type = DataType.Float32)
    {
        Tensor tensor = New(shape, type);
        Backend.Zero(tensor);
        return tensor;
    }

    /// <summary>A tensor of this pass with a copy of the values.</summary>
    public Tensor From(ReadOnlySpan<float> values, Shape shape) =>
        Write(New(shape), values.Length, System.Runtime.InteropServices.MemoryMarshal.AsBytes(values));

    /// <summary>An Int32 tensor of this pass with a copy of the values.</summary>
    public Tensor From(ReadOnlySpan<int> values, Shape shape)
    {
        Tensor tensor = Write(New(shape, DataType.Int32), values.Length, System.Runtime.InteropServices.MemoryMarshal.AsBytes(values));
        tensor.HostInts = Keep(values);
        return tensor;
    }

    /// <summary>Another view of a tensor of this pass: same memory, new shape; no part in autograd.</summary>
    public Tensor View(Tensor tensor, Shape shape)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return ViewBytes(tensor, shape, tensor.ByteOffset);
    }

    /// <summary>Rows of the first dimension of a tensor, sharing its memory; no part in autograd.</summary>
    public Tensor ViewRows(Tensor tensor, long start, long count)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, tensor.Shape[0] - start);
        long rowBytes = tensor.Shape[0] == 0 ? 0 : tensor.ByteLength / tensor.Shape[0];
        return ViewBytes(tensor, tensor.Shape.With(0, count), tensor.ByteOffset + (start * rowBytes));
    }

    /// <summary>
    /// Decides whether a result needs a gradient, and says so: true where this pass records and any input requires one. Operations
    /// call it after their kernels, which also keeps the inputs reachable while those run on bare pointers.
    /// </summary>
    public bool Tracks(Tensor output, params ReadOnlySpan<Tensor?> inputs)
    {
        ArgumentNullException.ThrowIfNull(output);
        bool any = false;
        foreach (Tensor? input in inputs)
        {
            any |= input is { RequiresGrad: true };
        }

        output.RequiresGrad = RecordsGradients && any;
        return output.RequiresGrad;
    }

    /// <summary>Appends a node to the tape; the caller fills it.</summary>
    public TNode Record<TNode>(Tensor output)
        where TNode : TapeNode, new() => _tape.Append<TNode>(output);

    /// <summary>The tensor to add ∂loss/∂tensor to, zero at first; null where no gradient is required.</summary>
    public Tensor? GradOf(Tensor? tensor)
    {
        if (tensor is not { RequiresGrad: true })
        {
            return null;
        }

        return tensor.Grad ?? Start(tensor, Zeros(tensor.Shape));
    }

    /// <summary>
    /// Where to leave ∂loss/∂tensor: for kernels that can write the first share instead of adding it to zeros. They must write all of it.
    /// </summary>
    public GradientTarget GradTargetOf(Tensor? tensor)
    {
        if (tensor is not { RequiresGrad: true })
        {
            return default;
        }

        return tensor.Grad is { } grad ? new GradientTarget(grad, true) : new GradientTarget(Start(tensor, New(tensor.Shape)), false);
    }

    /// <summary>
    /// Adds the gradient of a result to that of an input with the same elements. The first gradient to arrive is handed on as it is:
    /// the result's consumers have all run by then, so nobody else needs that memory.
    /// </summary>
    internal void HandOnGrad(Tensor outputGrad, Tensor input)
    {
        if (!input.RequiresGrad)
        {
            return;
        }

        if (input.Grad is null)
        {
            Start(input, View(outputGrad, input.Shape));
        }
        else
        {
            Backend.AddScaled(outputGrad, 1f, input.Grad);
        }
    }

    /// <summary>Adds the gradient of a result to that of an input of the same shape, whose gradient has memory of its own.</summary>
    internal void CopyGrad(Tensor outputGrad, Tensor input)
    {
        GradientTarget target = GradTargetOf(input);
        if (target.Accumulate)
        {
            Backend.AddScaled(outputGrad, 1f, target.Tensor!);
        }
        else if (target.Tensor is { } grad)
        {
            Backend.Affine(outputGrad, 1f, 0f, grad);
        }
    }

    /// <summary>Computes the gradient of a scalar with respect to every parameter and recorded tensor it depends on.</summary>
    /// <param name="loss">A tensor with one element.</param>
    /// <exception cref="InvalidOperationException">The loss is no scalar, or depends on nothing that requires a gradient.</exception>
    public void Backward(Tensor loss)
    {
        ArgumentNullException.ThrowIfNull(loss);
        if (loss.Shape.Count != 1)
        {
            throw new InvalidOperationException($"Backward starts from a scalar, this loss is {loss.Shape}; sum or average it first.");
        }

        if (!loss.RequiresGrad)
        {
            throw new InvalidOperationException("Nothing that this loss was computed from requires a gradient; make a tensor a parameter (AsParameter) and record.");
        }

        loss.Grad ??= New(loss.Shape);
        Backend.Fill(loss.Grad, 1f);
        _tape.Backward(this, 0);
    }

    /// <summary>Ends the pass: all its tensors end, the memory stays for the next one.</summary>
    public void Reset()
    {
        _tape.Truncate(0);
        (_tensorCount, _rerunStart, _hostIntCount, ResultUnread) = (0, 0, 0, false);
        _arena.Reset();
    }

    /// <summary>Ends the pass and gives its memory back to the arena, or to the system if the arena is this scope's own.</summary>
    public void Dispose()
    {
        Reset();
        if (_ownsArena)
        {
            _arena.Dispose();
        }
    }

    /// <summary>The present state, to come back to.</summary>
    internal Position Mark() => new(_arena.Mark(), _tensorCount, _tape.Count);

    /// <summary>Ends every tensor and node made since the mark.</summary>
    internal void Rewind(Position mark)
    {
        _arena.Rewind(mark.Arena);
        _tensorCount = mark.Tensors;
        _tape.Truncate(mark.Nodes);
    }

    /// <summary>Ends everything made since the mark but one tensor, which moves down to the mark.</summary>
    internal Tensor Rewind(Position mark, Tensor keep)
    {
        (Shape shape, DataType type, Storage storage, long offset) = (keep.Shape, keep.DataType, keep.Storage, keep.ByteOffset);
        Rewind(mark);
        Tensor kept = New(shape, type);
        Backend.Move(storage, offset, kept.Storage, kept.ByteOffset, kept.ByteLength);
        return kept;
    }

    /// <summary>Opens the second run of a checkpointed block, in which only its own tensors may be given gradients.</summary>
    internal Position BeginRerun()
    {
        Position mark = Mark() with { RerunStart = _rerunStart };
        _rerunStart = _tensorCount;
        return mark;
    }

    /// <summary>Runs backward over the nodes recorded since the mark.</summary>
    internal void BackwardTo(Position mark) => _tape.Backward(this, mark.Nodes);

    /// <summary>Ends everything made since the mark.</summary>
    internal void EndRerun(Position mark)
    {
        Rewind(mark);
        _rerunStart = mark.RerunStart;
    }

    private static Tensor Write(Tensor tensor, int count, ReadOnlySpan<byte> bytes)
    {
        if (count != tensor.Shape.Count)
        {
            throw new ArgumentException($"{count} values do not fill {tensor.Shape}, which holds {tensor.Shape.Count}.", nameof(count));
        }

        tensor.Storage.Write(tensor.ByteOffset, bytes);
        return tensor;
    }

    private Tensor ViewBytes(Tensor tensor, Shape shape, long byteOffset)
    {
        if (shape.Count * tensor.DataType.Size() > tensor.ByteLength - (byteOffset - tensor.ByteOffset))
        {
            throw new ArgumentException($"{tensor.Shape} cannot be seen as {shape}.", nameof(shape));
        }

        Tensor view = Bind(shape, tensor.DataType, tensor.Storage, byteOffset);
        if (!tensor.HostInts.IsEmpty)
        {
            view.HostInts = tensor.HostInts.Slice((int)((byteOffset - tensor.ByteOffset) / sizeof(int)), (int)shape.Count);
        }

        return view;
    }

    /// <summary>A copy of integers that lasts as long as the pass, in memory that later passes use again.</summary>
    private ReadOnlyMemory<int> Keep(ReadOnlySpan<int> values)
    {
        if (_hostInts.Length - _hostIntCount < values.Length)
        {
            // What was kept so far stays in the old memory.
            (_hostInts, _hostIntCount) = (new int[Math.Max(2 * _hostInts.Length, 4 * values.Length)], 0);
        }

        values.CopyTo(_hostInts.AsSpan(_hostIntCount));
        _hostIntCount += values.Length;
        return _hostInts.AsMemory(_hostIntCount - values.Length, values.Length);
    }

    private Tensor Start(Tensor tensor, Tensor grad)
    {
        if (tensor.ScopeIndex < _rerunStart)
        {
            throw new InvalidOperationException(
                $"A checkpointed block reads {tensor}, an intermediate tensor from outside that requires a gradient; pass it as the block's x, or do not checkpoint.");
        }

        tensor.Grad = grad;
        return grad;
    }

    private Tensor Bind(Shape shape, DataType type, Storage block, long byteOffset)
    {
        if (_tensorCount == _tensors.Count)
        {
            _tensors.Add(new Tensor(shape, type, block, byteOffset) { ScopeIndex = _tensorCount });
        }
        else
        {
            _tensors[_tensorCount].Rebind(shape, type, block, byteOffset);
        }

        return _tensors[_tensorCount++];
    }

    /// <summary>A place in a pass.</summary>
    internal readonly record struct Position(Arena.Position Arena, int Tensors, int Nodes, int RerunStart = 0);
}
