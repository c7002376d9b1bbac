namespace PureQLora.Core;

/// <summary>Runs the tile kernels: the processor, or in tests an interpreter of the same code.</summary>
internal interface IAmxKernels
{
    /// <summary>sums = left · right, or sums += that.</summary>
    /// <param name="tall">32 rows instead of 16.</param>
    /// <param name="continues">Add to the sums.</param>
    /// <param name="arguments">Operands and sums.</param>
    static abstract void Run(bool tall, bool continues, in AmxArguments arguments);
}
