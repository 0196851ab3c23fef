static const int quern_formats_placeholder = 0; int quern_formats(void);int quern_formats(void){return quern_formats_placeholder;}
