using System.CommandLine;

namespace PureQLora.Tools.Bench;

/// <summary>Measures what the operations reach on this machine.</summary>
internal static class Program
{
    internal static int Main(string[] arguments) => ToolProgram.Run(
        new RootCommand("Measures the operations, as times and as shares of what this processor can do.")
        {
            KernelsCommand.Create(), TrainingCommand.Create(), DecodeCommand.Create(), PrefillCommand.Create(), LoadCommand.Create(), TokeniseCommand.Create(),
            QuantiseCommand.Create(), StressCommand.Create(), GpuCommand.Create(),
        },
        arguments);
}
