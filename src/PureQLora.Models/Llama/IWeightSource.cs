using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Where a model's weights come from: a checkpoint folder, a quantised one, or a random generator.</summary>
public interface IWeightSource
{
    /// <summary>A tensor by its full name, in the type it is stored in.</summary>
    Tensor Tensor(string name);

    /// <summary>A small vector (norm or bias) by its full name, as Float32.</summary>
    Tensor Vector(string name);

    /// <summary>The weight of a linear layer by its module name (without <c>.weight</c>).</summary>
    WeightMatrix Weight(string module);
}
