using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>Weights that have a shape and a place on a device, and no values: to rehearse with.</summary>
/// <param name="shape">Of the model.</param>
/// <param name="device">A rehearsal.</param>
internal sealed class PlannedWeights(BaseShape shape, IDeviceBackend device) : IWeightSource, IDisposable
{
    private readonly IReadOnlyDictionary<string, Shape> _shapes = LlamaTensorNames.Tensors(shape.Config);
    private readonly List<QuantizedMatrix> _quantized = [];

    public Tensor Tensor(string name) => Dense(_shapes[name], shape.Stored);

    public Tensor Vector(string name) => Dense(_shapes[name], DataType.Float32);

    public WeightMatrix Weight(string module)
    {
        Shape dimensions = _shapes[$"{module}.weight"];
        if (!shape.Quantized.TryGetValue(module, out (int Bits, int GroupSize, CodeBook? Book) codes))
        {
            return new WeightMatrix(Dense(dimensions, shape.Stored));
        }

        QuantizedMatrix matrix = QuantizedMatrix.Undefined((int)dimensions[0], (int)dimensions[1], codes.Bits, codes.GroupSize, codes.Book);
        _quantized.Add(matrix);
        return new WeightMatrix(matrix, offsets: shape.Offsets.Contains(module) ? On(new Shape(matrix.OutDim, matrix.Groups), DataType.Float32) : null);
    }

    /// <summary>Puts the adapters on a model of these weights.</summary>
    public void Adapt(LlamaModel model)
    {
        foreach (LinearLayer layer in model.Linears)
        {
            if (shape.Adapters.TryGetValue(layer.Name, out int rank))
            {
                // Groups that do not divide a layer are refused where adapters are made, with their reason.
                int groupSize = shape.AdapterGroupSize > 0 && layer.Weight.InDim % shape.AdapterGroupSize == 0 ? shape.AdapterGroupSize : 0;
                Tensor a = On(new Shape(rank, layer.Weight.InDim / Math.Max(1, groupSize)), DataType.Float32);
                Tensor b = On(new Shape(layer.Weight.OutDim, rank), DataType.Float32);
                layer.Adapter = new LoraAdapter(Adapted(a), Adapted(b), 1f, (float)shape.Dropout, groupSize);
            }
        }
    }

    public void Dispose() => _quantized.ForEach(matrix => matrix.Dispose());

    private Tensor Adapted(Tensor factor) => shape.Trains ? factor.AsParameter() : factor;

    private Tensor Dense(Shape dimensions, DataType type) => shape.TrainsWeights ? On(dimensions, DataType.Float32).AsParameter() : On(dimensions, type);

    private Tensor On(Shape dimensions, DataType type) => new(dimensions, type, device.Allocate(dimensions.Count * type.Size()));
}
