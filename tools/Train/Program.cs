using PureQLora.Tools;
using PureQLora.Tools.Train;

return ToolProgram.Run(TrainCommand.Create(), args);
