namespace PureQLora.Models;

/// <summary>A layer that <see cref="BlockwiseModelQuantizer"/> quantised.</summary>
/// <param name="Matrix">As files store it.</param>
/// <param name="RelativeError">‖Q − W‖ / ‖W‖ over the weights of the layer; 0 where all are 0.</param>
/// <param name="Report">Memory and time; there is no calibration, so its losses are NaN.</param>
public sealed record BlockwiseLayer(BlockwiseMatrix Matrix, double RelativeError, LayerQuantization Report);
