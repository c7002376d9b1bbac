namespace PureQLora.Core;

/// <summary>
/// Parameters moved to lie one after another in one block of memory, and their gradients in another: an optimiser takes all of them as one
/// tensor, in one launch of a kernel instead of one each.
/// </summary>
/// <remarks>Whoever holds the parameters or their gradients sees no change. What pads the block to aligned parameters is 0.</remarks>
public sealed class ParameterBlock
{
    private readonly long[] _starts;     // first element of each parameter
    private readonly Shape[] _shapes;

    /// <summary>Moves the parameters into new memory of the kind they are in.</summary>
    /// <param name="parameters">At least one, all of the same backend, each once.</param>
    /// <exception cref="ArgumentException">One is no parameter, or there is none.</exception>
    public ParameterBlock(IReadOnlyList<Tensor> parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        if (parameters.Count == 0)
        {
            throw new ArgumentException("There are no parameters.", nameof(parameters));
        }

        _starts = new long[parameters.Count];
        _shapes = [.. parameters.Select(parameter => parameter.Shape)];
        long count = 0;
        for (int i = 0; i < _starts.Length; i++)
        {
            if (parameters[i] is not { DataType: DataType.Float32, Grad: not null })
            {
                throw new ArgumentException($"Tensor {i}, {parameters[i]}, is no parameter; make it one first (AsParameter).", nameof(parameters));
            }

            const int Alignment = CpuStorage.Alignment / sizeof(float);
            _starts[i] = count;
            count += (parameters[i].Shape.Count + Alignment - 1) / Alignment * Alignment;
        }

        Values = Zeros(parameters[0].Storage, count);
        Gradients = Zeros(parameters[0].Storage, count);
        for (int i = 0; i < _starts.Length; i++)
        {
            parameters[i].MoveInto(Values.Storage, _starts[i] * sizeof(float));
            parameters[i].Grad!.MoveInto(Gradients.Storage, _starts[i] * sizeof(float));
        }
    }

    /// <summary>All parameters, [elements with padding].</summary>
    public Tensor Values { get; }

    /// <summary>All gradients, in the places of their parameters.</summary>
    public Tensor Gradients { get; }

    /// <summary>Zeros in the same memory, as many as there are elements: state of an optimiser.</summary>
    public Tensor NewState() => Values.ZerosLike();

    /// <summary>What a block of state holds for one parameter.</summary>
    /// <param name="state">From <see cref="NewState"/>.</param>
    /// <param name="index">Of the parameter.</param>
    public Tensor ViewOf(Tensor state, int index)
    {
        ArgumentNullException.ThrowIfNull(state);
        return new Tensor(_shapes[index], DataType.Float32, state.Storage, state.ByteOffset + (_starts[index] * sizeof(float)));
    }

    private static Tensor Zeros(Storage beside, long count) => new(new Shape(count), DataType.Float32, beside.AllocateZeros(count * sizeof(float)));
}
